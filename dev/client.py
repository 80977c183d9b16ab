"""Talks to a running ComfyUI over its HTTP interface and its websocket."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import websocket

from .events import Event, read_event

_HTTP_SECONDS = 60
_RUN_SECONDS = 600
_BLOCK = 1024 * 1024
Prompt = Mapping[str, Mapping[str, Any]]


class PromptRejectedError(Exception):
    """ComfyUI refused a prompt before running it; ``body`` is its whole answer."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        lines = [str(body.get("error", {}).get("message", body))]
        for node, found in body.get("node_errors", {}).items():
            for error in found["errors"]:
                lines.append(
                    f"node {node} ({found['class_type']}): {error['message']}: {error['details']}"
                )
        super().__init__("\n".join(lines))


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a prompt ended.

    ``status`` is success, error or interrupted; ``outputs`` are the nodes' UI outputs by node id;
    ``error`` is the data of the event that ended it, where that was no success.
    """

    prompt_id: str
    status: str
    outputs: dict[str, dict[str, Any]]
    error: dict[str, Any] | None
    events: tuple[Event, ...]

    @property
    def message(self) -> str:
        """The error's text; empty where there was none."""
        return str((self.error or {}).get("exception_message", "")).strip()

    def files(self) -> list[dict[str, str]]:
        """Saved and previewed files: ``filename``, ``subfolder`` and ``type``, in node order."""
        return [
            item
            for output in self.outputs.values()
            for items in output.values()
            for item in items
            if isinstance(item, dict) and "filename" in item
        ]


class Execution:
    """A prompt that was queued. ``events`` grows while it is followed."""

    def __init__(self, client: ComfyClient, socket: websocket.WebSocket, prompt_id: str) -> None:
        self.prompt_id = prompt_id
        self.events: list[Event] = []
        self._client = client
        self._socket = socket

    def follow(self, timeout: float = _RUN_SECONDS) -> Iterator[Event]:
        """Events as they come, until the prompt is done and its history written.

        Raises:
            TimeoutError: it was not done in ``timeout`` seconds.
            ConnectionError: the server is gone.
        """
        end = time.monotonic() + timeout
        try:
            while True:
                event = self._receive(end, timeout)
                if event is None or event.data.get("prompt_id", self.prompt_id) != self.prompt_id:
                    continue
                self.events.append(event)
                yield event
                if event.kind == "executing" and event.data["node"] is None:
                    return
        finally:
            self._socket.close()

    def result(self, timeout: float = _RUN_SECONDS) -> Result:
        """Follow to the end; what came out. Raises as ``follow``."""
        for _ in self.follow(timeout):
            pass
        return self.outcome()

    def outcome(self) -> Result:
        """What came out, after ``follow`` has ended."""
        entry = self._client.history(self.prompt_id)
        ends = {
            "execution_success": "success",
            "execution_error": "error",
            "execution_interrupted": "interrupted",
        }
        last = next(event for event in reversed(self.events) if event.kind in ends)
        status = ends[last.kind]
        return Result(
            prompt_id=self.prompt_id,
            status=status,
            outputs=entry["outputs"],
            error=None if status == "success" else last.data,
            events=tuple(self.events),
        )

    def _receive(self, end: float, timeout: float) -> Event | None:
        try:
            self._socket.settimeout(max(0.01, end - time.monotonic()))
            return read_event(self._socket.recv())
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError(f"the prompt was not done in {timeout:g} s") from error
        except websocket.WebSocketException as error:
            raise ConnectionError(f"ComfyUI is gone: {error}") from error


class ComfyClient:
    """A ComfyUI at ``url``, such as ``http://127.0.0.1:8188``."""

    def __init__(self, url: str) -> None:
        self.url = url
        # a proxy from the environment must not come between two processes of one machine
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def system_stats(self) -> dict[str, Any]:
        return self._json("/system_stats")

    def object_info(self, node: str = "") -> dict[str, Any]:
        """Every node's interface by id, or that of one node alone."""
        return self._json(f"/object_info/{node}" if node else "/object_info")

    def templates(self) -> dict[str, list[str]]:
        """Names of the workflows that each pack offers."""
        return self._json("/workflow_templates")

    def submit(self, prompt: Prompt) -> Execution:
        """Queue an API prompt.

        Raises:
            PromptRejectedError: it is not valid.
        """
        client_id = uuid.uuid4().hex
        # the socket comes first, or the first events are lost
        socket = websocket.create_connection(
            f"{self.url.replace('http', 'ws', 1)}/ws?clientId={client_id}",
            timeout=_HTTP_SECONDS,
            http_no_proxy=["*"],
        )
        try:
            answer = self._json("/prompt", {"prompt": prompt, "client_id": client_id})
        except urllib.error.HTTPError as error:
            socket.close()
            raise PromptRejectedError(json.load(error)) from error
        return Execution(self, socket, answer["prompt_id"])

    def run(self, prompt: Prompt, timeout: float = _RUN_SECONDS) -> Result:
        """Queue an API prompt and wait for its end, good or bad."""
        return self.submit(prompt).result(timeout)

    def upload(self, path: Path, name: str | None = None) -> str:
        """Copy a file of any kind into ComfyUI's input folder; its name there."""
        boundary = uuid.uuid4().hex
        filename = (name or path.name).replace('"', "%22")
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; '
            f'filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        ).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + path.stat().st_size + len(tail)),
        }
        with path.open("rb") as file:
            request = urllib.request.Request(
                f"{self.url}/upload/image", data=_body(head, file, tail), headers=headers
            )
            with self._opener.open(request) as answer:
                return json.load(answer)["name"]

    def view(self, file: Mapping[str, str]) -> bytes:
        """The content of one of ``Result.files()``."""
        keys = ("filename", "subfolder", "type")
        query = urllib.parse.urlencode({key: file[key] for key in keys})
        with self._opener.open(f"{self.url}/view?{query}", timeout=_HTTP_SECONDS) as answer:
            return answer.read()

    def history(self, prompt_id: str) -> dict[str, Any]:
        return self._json(f"/history/{prompt_id}")[prompt_id]

    def queue(self) -> dict[str, list[Any]]:
        """``queue_running`` and ``queue_pending``."""
        return self._json("/queue")

    def interrupt(self) -> None:
        """Cancel the running prompt."""
        self._send("/interrupt", {})

    def free(self) -> None:
        """Unload every model and forget cached outputs."""
        self._send("/free", {"unload_models": True, "free_memory": True})

    def _json(self, path: str, body: object = None) -> dict[str, Any]:
        return json.loads(self._send(path, body))

    def _send(self, path: str, body: object = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        with self._opener.open(request, timeout=_HTTP_SECONDS) as answer:
            return answer.read()


def _body(head: bytes, file: BinaryIO, tail: bytes) -> Iterator[bytes]:
    yield head
    while block := file.read(_BLOCK):
        yield block
    yield tail
