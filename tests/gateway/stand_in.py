"""A service alone, over HTTP, with a gateway that only records what it is asked for."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiohttp import web

from tests.pack import load_pack_module

errors = load_pack_module("gateway.errors")
gateway = load_pack_module("gateway.gateway")
uploads = load_pack_module("gateway.uploads")
jobs = load_pack_module("gateway.job")
services = load_pack_module("gateway.services")

KEY = "key-of-anna"
SECRET = "secret-of-anna"
CREATED_AT = 1_700_000_000.25


@dataclass(frozen=True)
class Created:
    """What a service asked to be made: ``JobSpec``, the video, ``VideoRules``."""

    spec: Any
    video: str | None
    rules: Any


@dataclass
class StandIn:
    """In place of ``Gateway``.

    Attributes:
        url: of ``/mmaudio``.
        service: which is served, on ``loop``.
        created, tickets: what was asked for, in order.
        jobs: ``Job`` by id; created ones are added.
        uploads: files that were uploaded, by the end of their URL.
        refuse: raised by whatever creates something.
    """

    url: str = ""
    service: Any = None
    loop: Any = None
    created: list[Created] = field(default_factory=list)
    tickets: list[tuple[str, str | None, int | None]] = field(default_factory=list)
    jobs: dict[str, Any] = field(default_factory=dict)
    uploads: dict[str, Path] = field(default_factory=dict)
    refuse: Exception | None = None

    def add(self, service: str, model: str, **changes: Any) -> Any:
        """A job in any state."""
        spec = jobs.JobSpec(service=service, model=model, input=changes.pop("input", {}))
        number = f"job-{len(self.jobs)}"
        job = jobs.Job(
            id=number, owner="anna", spec=spec, base_url=self.url, created_at=CREATED_AT, **changes
        )
        self.jobs[job.id] = job
        return job

    def end(self, job: Any, changes: Mapping[str, Any]) -> None:
        """Let a job end, as ``done`` or ``failed`` say."""

        def work() -> None:
            for name, value in changes.items():
                setattr(job, name, value)
            job.touch()

        self.loop.call_soon_threadsafe(work)

    def base_url(self, request: web.Request) -> str:
        return self.url

    def caller(self, request: web.Request, key: str | None) -> Any:
        if key != KEY:
            raise errors.UnauthorizedError("got a wrong key.")
        return gateway.Caller("anna", self.url)

    async def create(self, caller: Any, spec: Any, video: str | None, rules: Any = None) -> Any:
        if self.refuse is not None:
            raise self.refuse
        jobs.JobSpec.model_validate_json(spec.model_dump_json())  # as it is kept on disk
        self.created.append(Created(spec, video, rules))
        job = self.add(spec.service, spec.model)
        job.spec = spec
        return job

    async def job(self, caller: Any, job_id: str, service: str) -> Any:
        if job_id not in self.jobs:
            raise errors.NotFoundError(f"got the id {job_id!r}; there is no such job of this key.")
        return self.jobs[job_id]

    async def cancel(self, job: Any) -> bool:
        """The job ends at once."""
        if job.ended:
            return False
        job.state = jobs.State.CANCELLED
        job.touch()
        return True

    async def ticket(
        self, caller: Any, file_name: str, content_type: str | None, size: int | None = None
    ) -> Any:
        if self.refuse is not None:
            raise self.refuse
        self.tickets.append((file_name, content_type, size))
        return uploads.UploadTicket(
            "id", f"{self.url}/uploads/t", f"{self.url}/files/f/a.mp4", "a.mp4", "video/mp4"
        )

    async def upload(self, caller: Any, url: str) -> Any:
        _, ours, token = url.rpartition("/mmaudio/files/")
        if not ours:
            return None
        if token not in self.uploads:
            raise errors.NotFoundError("got the URL of a file that is not here.")
        return SimpleNamespace(path=self.uploads[token])

    async def webhook_secret(self, caller: Any) -> str:
        return SECRET


def made(url: str) -> Any:
    """The file of a job that is done."""
    return jobs.ResultFile(
        output=jobs.Output.VIDEO,
        url=url,
        path=Path("clip.mp4"),
        file_name="clip.mp4",
        content_type="video/mp4",
        size=1,
        duration=1.0,
        sample_rate=16_000,
    )


def done(url: str) -> dict[str, Any]:
    """What ``StandIn.add`` takes for a job that took 1.5 s."""
    now = time.time()
    return {
        "state": jobs.State.DONE,
        "files": (made(url),),
        "started_at": now - 1.5,
        "finished_at": now,
    }


def failed(message: str, location: str | None = None, fault: str = "input") -> dict[str, Any]:
    """What ``StandIn.add`` takes for a job that failed."""
    error = jobs.JobError(fault=jobs.Fault(fault), message=message, location=location)
    return {"state": jobs.State.FAILED, "error": error}


@contextmanager
def serve(service: str, tls: ssl.SSLContext | None = None, **attributes: Any) -> Iterator[StandIn]:
    """Serve the service of a name on a free port of 127.0.0.1; ``attributes`` are set on it.

    Args:
        tls: for https.
    """
    stand_in = StandIn()
    kind = next(kind for kind in services.SERVICES if kind.name == service)
    served = kind(stand_in)
    for name, value in attributes.items():
        setattr(served, name, value)
    stand_in.service = served
    app = web.Application()
    app.add_subapp(served.prefix, served.app())
    with listen(app, tls) as (stand_in.url, stand_in.loop):
        yield stand_in


def until(holds: Callable[[], bool], act: Callable[[], Any] = lambda: None) -> None:
    """Wait, and do ``act`` again and again meanwhile."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        act()
        time.sleep(0.02)


@contextmanager
def listen(
    gateway: web.Application, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, asyncio.AbstractEventLoop]]:
    """Serve what is below ``/mmaudio`` in a thread; its URL, and the loop."""
    app = web.Application()
    app.add_subapp("/mmaudio", gateway)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        return runner.addresses[0][1]

    async def stop() -> None:
        await runner.cleanup()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{port}/mmaudio", loop
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
