"""As much of ComfyUI's server as the gateway touches, moved by hand."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiohttp import web

from tests.core.made_videos import steady, write_video


class FakeComfy:
    """Stands for ``PromptServer.instance``: prompts wait until a test runs them.

    Args:
        output: folder that results are written to.
        clip: a video with sound, what every result is.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.sockets: dict[str, Any] = {}
        self.sockets_metadata: dict[str, Any] = {}
        self.refuse: dict[str, Any] | None = None
        self.prompt_queue = FakeQueue()
        self.routes = [SimpleNamespace(method="POST", path="/prompt", handler=self._post)]
        self.interrupted: list[str] = []
        self._clip = output / "clip.mp4"
        output.mkdir(parents=True, exist_ok=True)
        write_video(self._clip, steady(25, 25), sound=True)

    async def _post(self, request: Any) -> web.Response:
        body = await request.json()
        if self.refuse is not None:
            return web.json_response(self.refuse, status=400)
        queue = self.prompt_queue
        item = (len(queue.numbers), body["prompt_id"], body["prompt"])
        queue.numbers.append(body["prompt_id"])
        queue.queue.append(item)
        await self.tell("status")
        return web.json_response({"prompt_id": body["prompt_id"]})

    async def tell(self, kind: str, **data: Any) -> None:
        """Send an event, as to every websocket."""
        for socket in list(self.sockets.values()):
            await socket.send_json({"type": kind, "data": data})

    async def begin(self, job: str) -> None:
        """The worker takes a prompt."""
        queue = self.prompt_queue
        item = next(item for item in queue.queue if item[1] == job)
        queue.queue.remove(item)
        queue.currently_running[0] = item
        await self.tell("status")
        await self.tell("execution_start", prompt_id=job)

    async def progress(self, job: str, **nodes: tuple[float, float]) -> None:
        """Nodes report ``(value, max)``."""
        states = {
            node: {"value": value, "max": most, "state": "running"}
            for node, (value, most) in nodes.items()
        }
        await self.tell("progress_state", prompt_id=job, nodes=states)

    async def succeed(self, job: str, tell: bool = True) -> None:
        """A prompt ends with a file."""
        folder = self.output / "mmaudio-gateway" / job
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "video_00001_.mp4").write_bytes(self._clip.read_bytes())
        saved = {"filename": "video_00001_.mp4", "subfolder": f"mmaudio-gateway/{job}"}
        output = {"images": [{**saved, "type": "output"}], "animated": [True]}
        if tell:
            await self.tell("executed", prompt_id=job, node="result", output=output)
            await self.tell("execution_success", prompt_id=job)
        messages = [["execution_start", {}], ["execution_success", {}]]
        self.end(job, {"outputs": {"result": output}, "status": {"messages": messages}})

    async def fail(self, job: str, node: str, kind: str, message: str) -> None:
        """A node raises an error."""
        error = {"node_id": node, "exception_type": kind, "exception_message": message}
        await self.tell("execution_error", prompt_id=job, **error)
        self.end(job, {"outputs": {}, "status": {"messages": [["execution_error", error]]}})

    def end(self, job: str, entry: dict[str, Any] | None) -> None:
        """A prompt leaves the worker; ``entry`` is its place in the history."""
        self.prompt_queue.currently_running.clear()
        if entry is not None:
            self.prompt_queue.history[job] = entry


class FakeQueue:
    """Stands for ComfyUI's ``PromptQueue``."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self.numbers: list[str] = []
        self.queue: list[tuple[int, str, Any]] = []
        self.currently_running: dict[int, tuple[int, str, Any]] = {}
        self.history: dict[str, Any] = {}
        self.interrupts: list[str] = []

    def get_current_queue_volatile(self) -> tuple[list[Any], list[Any]]:
        return list(self.currently_running.values()), list(self.queue)

    def delete_queue_item(self, matches: Any) -> bool:
        found = [item for item in self.queue if matches(item)]
        for item in found:
            self.queue.remove(item)
        return bool(found)

    def interrupt_if_running(self, job: str) -> bool:
        running = any(item[1] == job for item in self.currently_running.values())
        if running:
            self.interrupts.append(job)
        return running
