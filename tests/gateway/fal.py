"""How the tests ask fal's routes, and jobs to ask for, made up and real."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from dev.server import ComfyServer
from tests.nodes.graphs import saved, sound

from .stand_in import KEY, StandIn, errors, jobs

State, Output = jobs.State, jobs.Output
MMAUDIO, SONILO = "fal-ai/mmaudio-v2", "sonilo/v1.1/video-to-music"
VIDEO = "https://videos.example/clip.mp4"
BODIES = {MMAUDIO: {"video_url": VIDEO, "prompt": "rain"}, SONILO: {"video_url": VIDEO}}
AUTHORIZATION = {"Authorization": f"Key {KEY}"}
TARGETS = {"queue": "https://queue.fal.run/", "run": "https://fal.run/"}

QUICK = {"prompt": "rain", "num_steps": 4, "duration": 1}
SLOW = {"prompt": "rain", "num_steps": 50, "duration": 30}
SECONDS = 30.0  # until a cancelled job has ended, on a busy machine


def ask(
    stand_in: StandIn, method: str, path: str, proxied: bool = False, **others: Any
) -> requests.Response:
    """An answer, over the proxy if ``proxied``: ``path`` starts with ``queue/`` or ``run/``."""
    headers = AUTHORIZATION | others.pop("headers", {})
    url = f"{stand_in.url}/fal/{path}"
    if proxied:
        side, _, rest = path.partition("/")
        url = f"{stand_in.url}/fal/proxy"
        headers["x-fal-target-url"] = TARGETS[side] + rest
    return requests.request(method, url, headers=headers, timeout=30, **others)


def file_of(output: Any, name: str = "clip.mp4", kind: str = "video/mp4") -> Any:
    return jobs.ResultFile(
        output=output,
        url=f"http://h/mmaudio/files/t/{name}",
        path=name,
        file_name=name,
        content_type=kind,
        size=123,
        duration=1.0,
        sample_rate=16_000,
    )


def shown(name: str = "clip.mp4", kind: str = "video/mp4") -> dict[str, Any]:
    """That file in an output."""
    return {
        "url": f"http://h/mmaudio/files/t/{name}",
        "content_type": kind,
        "file_name": name,
        "file_size": 123,
    }


def finished(stand_in: StandIn, app: str = MMAUDIO) -> Any:
    """A job that is done."""
    if app == MMAUDIO:
        files = (file_of(Output.VIDEO),)
    else:
        files = tuple(file_of(Output.M4A, f"clip_{k}.m4a", "audio/mp4") for k in (1, 2))
    return stand_in.add(
        "fal", app, state=State.DONE, files=files, started_at=100.0, finished_at=102.5
    )


@contextmanager
def busy(server: ComfyServer) -> Iterator[None]:
    """While a prompt of the owner's runs, jobs wait."""
    graph = saved(
        sound(
            extract={"duration": 30.0},
            sample={"steps": 200, "num_samples": 8, "seed": time.time_ns()},
        )
    )
    events = server.client.submit(graph).follow()
    next(event for event in events if event.kind == "executing")
    try:
        yield
    finally:
        server.client.interrupt()
        for _ in events:  # to its end
            pass


def refuse_twice(stand_in: StandIn, asked: list[str]) -> None:
    """Let the first two requests meet a limit of the key; ``asked`` grows with every one."""
    create = stand_in.create

    async def refusing(*arguments: Any) -> Any:
        asked.append(arguments[1].model)
        if len(asked) < 3:
            raise errors.TooManyError("too many.", 1)
        return await create(*arguments)

    stand_in.create = refusing  # type: ignore[method-assign]
