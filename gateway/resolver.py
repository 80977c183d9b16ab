"""What names resolve to, and which of these addresses may be connected to."""

from __future__ import annotations

import asyncio
import functools
import inspect
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from .addresses import Address, is_allowed
from .compat import timeout
from .urls import HostNotFoundError, not_public

_LOOKUP_SECONDS = 10.0
_LOOKUPS_AT_ONCE = 8
_DOCUMENTATION = ("192.0.2.1", "2001:db8::1")
"""Addresses that no machine has."""


class SystemResolver(AbstractResolver):
    """The system's lookups, in threads of their own.

    A name server that never answers holds up other lookups, and nothing else that the loop runs in
    threads, such as the store.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, "mmaudio-lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        look_up = functools.partial(
            socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class CheckedResolver(AbstractResolver):
    """Refuses names that do not resolve, and, if ``public``, those with any other address.

    Raises:
        UrlRefusedError: from ``resolve``.
    """

    def __init__(self, resolver: AbstractResolver, *, public: bool) -> None:
        self._resolver = resolver
        self._public = public

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            async with timeout(_LOOKUP_SECONDS):
                found = await self._resolver.resolve(host, port, family)
        except (OSError, UnicodeError, asyncio.TimeoutError) as error:
            raise _not_found(host) from error
        if not found:
            raise _not_found(host)
        if self._public and not all(may_connect(result["host"], port) for result in found):
            raise not_public(host)
        return found

    async def close(self) -> None:
        await self._resolver.close()


def may_connect(address: str, port: int) -> bool:
    """Whether an address is public, and so is what answers there.

    This machine may have a public address. Then its services, such as ComfyUI's own, which knows no
    keys, can be reached by it from here even if a firewall keeps others away: all but the usual
    ports are refused.
    """
    read = ip_address(address)
    return is_allowed(read) and (port in (80, 443) or not _is_ours(read))


def socket_guard() -> dict[str, Any]:
    """Arguments of a connector that looks again, at the very address that is connected to.

    Make it plain arguments with aiohttp 3.12 as the oldest supported: 3.11 has no
    ``socket_factory``.
    """
    if "socket_factory" not in inspect.signature(aiohttp.TCPConnector).parameters:
        return {}
    return {"socket_factory": _public_socket}


class _SocketRefusedError(OSError):
    """aiohttp wraps errors of this kind alone."""


def _public_socket(info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, address = info
    if not may_connect(*address[:2]):
        raise _SocketRefusedError("not a public address")
    return socket.socket(family, kind, protocol)


def _is_ours(address: Address) -> bool:
    """Whether this machine has an address: only then can a socket be bound to it.

    Some systems bind to any address; what is ours cannot be told there.
    """
    control = ip_address(_DOCUMENTATION[address.version == 6])
    return _binds(address) and not _binds(control)


def _binds(address: Address) -> bool:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _not_found(host: str) -> HostNotFoundError:
    return HostNotFoundError(
        f"got a URL whose host, {host}, does not resolve to an address; expected one that exists."
        " Look for a slip in its name."
    )
