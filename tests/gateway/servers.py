"""A server on loopback that notes who reaches it, and names that resolve as a test says."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

PUBLIC = "93.184.216.34"
"""An address that may be connected to; no test gets as far."""

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Case = Callable[..., Coroutine[Any, Any, None]]


def on_loop(case: Case) -> Callable[..., None]:
    """Make a test of a coroutine."""

    @functools.wraps(case)
    def test(*args: Any, **kwargs: Any) -> None:
        run(case(*args, **kwargs))

    return test


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end, in a thread: in this one, Playwright's loop may run for good."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class StubResolver(AbstractResolver):
    """Knows a few names, and notes which were asked for.

    ``names`` has one answer a time for each, the last one for good: each an address, or several
    with spaces between.
    """

    def __init__(self, **names: Iterable[str] | str) -> None:
        self._answers = {
            name.replace("_", "."): [answers] if isinstance(answers, str) else list(answers)
            for name, answers in names.items()
        }
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self._answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self._answers[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses.split()
        ]

    async def close(self) -> None:
        pass


@dataclass
class Server:
    """What listens on 127.0.0.1.

    Attributes:
        port: where.
        hits: the paths that were requested.
    """

    port: int
    hits: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        """As ``allow_hosts`` takes it."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[Server]:
    """A server that answers every request with ``handler``."""
    server = Server(0)

    async def note(request: web.Request) -> web.StreamResponse:
        server.hits.append(request.path)
        return await handler(request)

    runner = web.ServerRunner(web.Server(note), shutdown_timeout=0.1)  # pyright: ignore
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.port = runner.addresses[0][1]
        yield server
    finally:
        await runner.cleanup()
