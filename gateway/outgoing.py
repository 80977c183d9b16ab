"""Requests to other servers, which can reach nothing but public addresses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from aiohttp.abc import AbstractResolver

from .resolver import CheckedResolver, SystemResolver, may_connect, socket_guard
from .urls import (
    AllowedHost,
    OutgoingError,
    Target,
    UrlRefusedError,
    not_public,
    parse_url,
    read_url,
)

MAX_REDIRECTS = 3
_REDIRECTS = {301, 302, 303, 307, 308}
_SILENCE_SECONDS = 60.0
"""Of the server, before and between the pieces of its answer."""
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "ComfyUI-MMAudio"}


class Outgoing:
    """The one way out.

    Hosts are public ones, and those of ``allow_hosts`` as the URL writes them: another name of the
    same machine stays refused. To be used on one event loop, and closed on it.
    """

    def __init__(
        self, allow_hosts: frozenset[str], resolver: AbstractResolver | None = None
    ) -> None:
        """Prepare; nothing is opened before the first request.

        Args:
            allow_hosts: as ``AllowedHost.read`` takes them.
            resolver: looks names up in place of the system's.

        Raises:
            ValueError: an entry of ``allow_hosts`` is no host.
        """
        self._allowed = frozenset(AllowedHost.read(text) for text in allow_hosts)
        self._resolver = resolver or SystemResolver()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def check(self, url: str) -> None:
        """Refuse a URL before a job is created for it.

        Its name is looked up for the answer's sake alone; what it resolves to when it is requested
        is checked then.

        Raises:
            UrlRefusedError: if it may not be requested; HostNotFoundError if its name is unknown.
        """
        target = self._read(url)
        if not target.literal:
            await self._resolver_for(target.trusted).resolve(target.host, target.port)

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """GET a URL, following at most 3 redirects, each checked as the first one was.

        Errors of connecting, and of reading the body within the context, are translated.

        Raises:
            UrlRefusedError: if it, or what it redirects to, may not be requested.
            OutgoingError: if no whole answer comes.
        """
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_SILENCE_SECONDS, sock_read=_SILENCE_SECONDS
        )
        for _ in range(MAX_REDIRECTS + 1):
            target = self._read(url)
            with _translate_errors(target):
                async with self._session(target.trusted).get(
                    target.url, allow_redirects=False, timeout=timeout
                ) as response:
                    location = response.headers.get("Location")
                    if response.status not in _REDIRECTS or location is None:
                        yield response
                        return
            url = _redirected(target, location)
        raise UrlRefusedError(
            f"got more than {MAX_REDIRECTS} redirects; expected the file itself. Give the URL that"
            " they lead to."
        )

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> int:
        """POST, and return the status of the answer, whose body is not read. No redirects.

        Raises:
            UrlRefusedError: if the URL may not be requested.
            OutgoingError: if no answer comes in time.
        """
        target = self._read(url)
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        with _translate_errors(target):
            async with self._session(target.trusted).post(
                target.url, data=body, headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                return response.status

    async def close(self) -> None:
        """Close every connection; what is being read breaks off."""
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()
        await self._resolver.close()

    def _read(self, url: str) -> Target:
        target = read_url(url, self._allowed)
        if target.literal and not target.trusted and not may_connect(target.host, target.port):
            raise not_public(target.host)
        return target

    def _session(self, trusted: bool) -> aiohttp.ClientSession:
        """One for public hosts, and one that does not look at addresses, for the allowed ones."""
        if trusted not in self._sessions:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver_for(trusted),
                use_dns_cache=False,
                force_close=True,
                **({} if trusted else socket_guard()),
            )
            self._sessions[trusted] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),  # requests belong to different clients
                trust_env=False,
                auto_decompress=False,
                headers=_HEADERS,
            )
        return self._sessions[trusted]

    def _resolver_for(self, trusted: bool) -> CheckedResolver:
        return CheckedResolver(self._resolver, public=not trusted)


def _redirected(target: Target, location: str) -> str:
    try:
        return str(target.url.join(parse_url(location)))
    except ValueError as error:
        raise UrlRefusedError(
            f"{target.host} redirected to a URL that cannot be read; expected the file itself"
        ) from error


@contextmanager
def _translate_errors(target: Target) -> Iterator[None]:
    """Errors of aiohttp hold the server's own words, which the client must not act upon."""
    host = target.host
    try:
        yield
    except aiohttp.ClientSSLError as error:
        raise OutgoingError(
            f"{host} has no valid certificate; expected one that this machine trusts"
        ) from error
    except (aiohttp.ServerTimeoutError, asyncio.TimeoutError) as error:
        raise OutgoingError(
            f"{host} did not answer in time; try again, or use another server"
        ) from error
    except aiohttp.ClientConnectorError as error:
        raise OutgoingError(
            f"{host} could not be connected to; expected a server at port {target.port}. Look"
            " whether it is running."
        ) from error
    except aiohttp.ClientError as error:
        raise OutgoingError(
            f"{host} broke off before its answer was complete; try again"
        ) from error
