"""Outgoing requests: nothing but public hosts, and hosts that the owner allows, is reached.

Each attack aims at a server on loopback, which must see nothing of it.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.gateway.servers import PUBLIC, StubResolver, on_loop, serve
from tests.pack import load_pack_module

module = load_pack_module("gateway.outgoing")
resolver_module = load_pack_module("gateway.resolver")
Outgoing, UrlRefusedError = module.Outgoing, module.UrlRefusedError
OutgoingError, HostNotFoundError = module.OutgoingError, resolver_module.HostNotFoundError


async def answer(request: web.Request) -> web.Response:
    return web.Response(text="reached")


def redirect(location: str, status: int = 302) -> Any:
    async def handler(request: web.Request) -> web.Response:
        if request.path == "/reached":
            return web.Response(text="reached")
        return web.Response(status=status, headers={"Location": location})

    return handler


async def read(outgoing: Any, url: str) -> str:
    try:
        async with outgoing.open(url) as response:
            return await response.text()
    finally:
        await outgoing.close()


async def refuse(outgoing: Any, url: str) -> str:
    """``check``, ``open`` and ``post`` all refuse it; the reason."""
    with pytest.raises(UrlRefusedError) as refused:
        await outgoing.check(url)
    with pytest.raises(UrlRefusedError):
        await outgoing.post(url, b"", {}, 1)
    with pytest.raises(UrlRefusedError):
        await read(outgoing, url)
    return str(refused.value)


# Each is 127.0.0.1 to one system or another.
LITERALS = (
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0X7F.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "１２７.０.０.１",
    "１２７．０．０．１",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "127%2e0.0.1",
    "%31%32%37.0.0.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1%25lo]",
    "[::1%lo]",
    "[v1.x]",
)


@pytest.mark.parametrize("host", LITERALS)
@on_loop
async def test_address_literals_are_refused_in_all_spellings(host: str) -> None:
    async with serve(answer) as server:
        url = server.url(host=host)
        await refuse(Outgoing(frozenset(), StubResolver(**{host: "127.0.0.1"})), url)
        assert not server.hits


@pytest.mark.parametrize(
    "addresses",
    [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "fe80::1%lo",
        f"{PUBLIC} 127.0.0.1",
        f"127.0.0.1 {PUBLIC}",
    ],
)
@on_loop
async def test_names_that_resolve_to_any_private_address_are_refused(addresses: str) -> None:
    async with serve(answer) as server:
        outgoing = Outgoing(frozenset(), StubResolver(a_example=addresses))
        reason = await refuse(outgoing, server.url(host="a.example"))
        assert "not public" in reason
        assert addresses not in reason  # of the owner's network, nothing is told
        assert not server.hits


@pytest.mark.parametrize("host", ["localhost", "ＬＯＣＡＬＨＯＳＴ", "localhost."])
@on_loop
async def test_the_systems_own_resolver_is_checked_too(host: str) -> None:
    async with serve(answer) as server:
        await refuse(Outgoing(frozenset()), server.url(host=host))
        assert not server.hits


@on_loop
async def test_a_name_that_resolves_differently_the_second_time_is_refused() -> None:
    async with serve(answer) as server:
        outgoing = Outgoing(frozenset(), StubResolver(a_example=[PUBLIC, "127.0.0.1"]))
        url = server.url(host="a.example")
        await outgoing.check(url)
        with pytest.raises(UrlRefusedError):
            await read(outgoing, url)
        assert not server.hits


@pytest.mark.skipif(
    "socket_factory" not in inspect.signature(aiohttp.TCPConnector).parameters,
    reason="this aiohttp has no socket_factory",
)
@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]"])
@on_loop
async def test_the_address_connected_to_is_looked_at_again(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "may_connect", lambda host, port: True)
    async with serve(answer) as server:
        with pytest.raises(OutgoingError):
            await read(Outgoing(frozenset()), server.url(host=host))
        assert not server.hits


def make_loopback_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "is_allowed", lambda address: str(address) == "127.0.0.1")


@on_loop
async def test_public_hosts_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    make_loopback_public(monkeypatch)
    monkeypatch.setattr(resolver_module, "_is_ours", lambda address: False)
    async with serve(answer) as server:
        resolver = StubResolver(a_example="127.0.0.1")
        assert await read(Outgoing(frozenset(), resolver), server.url(host="a.example"))
        assert await read(Outgoing(frozenset(), resolver), server.url())
        assert await Outgoing(frozenset(), resolver).post(server.url("/p"), b"", {}, 5) == 200
        assert server.hits == ["/", "/", "/p"]


@pytest.mark.parametrize("host", ["127.0.0.1", "a.example"])
@on_loop
async def test_public_addresses_of_this_machine_are_refused_but_for_the_usual_ports(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_loopback_public(monkeypatch)
    async with serve(answer) as server:
        outgoing = Outgoing(frozenset(), StubResolver(a_example="127.0.0.1"))
        assert "not public" in await refuse(outgoing, server.url(host=host))
        for port in (80, 443):
            await outgoing.check(f"http://{host}:{port}/")
        assert not server.hits


@on_loop
async def test_on_a_system_that_binds_to_any_address_no_address_is_taken_for_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resolver_module, "_binds", lambda address: True)
    await Outgoing(frozenset()).check(f"http://{PUBLIC}:8188/")


@on_loop
async def test_lookups_that_hang_hold_up_no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()

    def hang(*args: Any, **kwargs: Any) -> list[Any]:
        hanging.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(resolver_module, "_LOOKUP_SECONDS", 60)
    outgoing = Outgoing(frozenset())
    checks = [asyncio.create_task(outgoing.check(f"http://{n}.a.example/")) for n in range(50)]
    try:
        await asyncio.sleep(0.1)
        await asyncio.wait_for(asyncio.to_thread(len, ""), 20)
    finally:
        hanging.set()
        results = await asyncio.gather(*checks, return_exceptions=True)
        await outgoing.close()
    assert {type(result) for result in results} == {HostNotFoundError}


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/reached",
        "http://b.example:{port}/reached",
        "file:///etc/passwd",
        "http://[::1]@",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@on_loop
async def test_redirects_to_private_hosts_are_refused(location: str, status: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        return await redirect(location.format(port=server.port), status)(request)

    async with serve(handler) as server:
        resolver = StubResolver(b_example="127.0.0.1")
        with pytest.raises(UrlRefusedError):
            await read(Outgoing(frozenset({server.host}), resolver), server.url())
        assert server.hits == ["/"]


@on_loop
async def test_redirects_are_followed_three_times() -> None:
    async def count_down(request: web.Request) -> web.Response:
        left = int(request.path[1:])
        return await (redirect(f"/{left - 1}") if left else answer)(request)

    async with serve(count_down) as server:
        allowed = frozenset({server.host})
        assert await read(Outgoing(allowed), server.url("/3")) == "reached"
        with pytest.raises(UrlRefusedError, match="more than 3 redirects"):
            await read(Outgoing(allowed), server.url("/4"))
        assert "/0" not in server.hits[4:]


@on_loop
async def test_a_post_is_not_redirected() -> None:
    async with serve(redirect("/reached", 307)) as server:
        outgoing = Outgoing(frozenset({server.host}))
        assert await outgoing.post(server.url(), b"{}", {}, 5) == 307
        await outgoing.close()
        assert server.hits == ["/"]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://a.example/v.mp4",
        "concat:/etc/passwd|/etc/hosts",
        "gopher://a.example/",
        "data:video/mp4;base64,AAAA",
        "ws://a.example/",
        "rtmp://a.example/",
        "HTTP",
        "//a.example/v.mp4",
        "a.example/v.mp4",
        "/etc/passwd",
        "",
    ],
)
@on_loop
async def test_other_schemes_are_refused(url: str) -> None:
    outgoing = Outgoing(frozenset({"a.example"}), StubResolver(a_example=PUBLIC))
    assert "neither http nor https" in await refuse(outgoing, url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://user@a.example/", "password"),
        ("http://user:word@a.example/", "password"),
        ("http://:word@a.example/", "password"),
        ("http://127.1/", "unusual spelling"),
        ("http://[fe80::1%25lo]/", "unusual spelling"),
        ("http://a.example:22/", "port 22"),
        ("http://a.example:0/", "port 0"),
        ("http://a.example:445/", "port 445"),
        ("http://a.example:1023/", "port 1023"),
        ("http://a.example:65536/", "cannot be read"),
        ("http:///v.mp4", "without a host"),
        ("http://a example/", "not a name"),
        ("http://a..example/", "not a name"),
        ("http://[::1/", "cannot be read"),
        ("http://[::1]@", "cannot be read"),
    ],
)
@on_loop
async def test_credentials_low_ports_and_broken_urls_are_refused(url: str, reason: str) -> None:
    outgoing = Outgoing(frozenset({"a.example"}), StubResolver(a_example=PUBLIC))
    assert reason in await refuse(outgoing, url)


@pytest.mark.parametrize("port", [80, 443, 1024, 65535])
@on_loop
async def test_usual_ports_pass(port: int) -> None:
    resolver = StubResolver(a_example=PUBLIC)
    await Outgoing(frozenset(), resolver).check(f"https://a.example:{port}/v.mp4?a=b%2Fc#d")
    await Outgoing(frozenset(), resolver).check(f"http://{PUBLIC}:{port}/v.mp4")
    assert resolver.asked == ["a.example"]


@on_loop
async def test_names_that_do_not_resolve_are_said_to() -> None:
    outgoing = Outgoing(frozenset({"trusted.example"}), StubResolver())
    for host in ("nowhere.example", "trusted.example"):
        assert "does not resolve" in await refuse(outgoing, f"http://{host}/")
        with pytest.raises(HostNotFoundError):
            await outgoing.check(f"http://{host}/")


@on_loop
async def test_a_name_that_the_system_cannot_encode_does_not_resolve() -> None:
    assert "does not resolve" in await refuse(Outgoing(frozenset()), f"http://{'a' * 64}.example/")


@on_loop
async def test_a_name_without_addresses_does_not_resolve() -> None:
    outgoing = Outgoing(frozenset(), StubResolver(a_example=""))
    assert "does not resolve" in await refuse(outgoing, "http://a.example/")


@on_loop
async def test_an_endless_lookup_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "_LOOKUP_SECONDS", 0.01)

    class Endless(StubResolver):
        async def resolve(self, *args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(60)

    assert "does not resolve" in await refuse(Outgoing(frozenset(), Endless()), "http://a.example/")


@on_loop
async def test_a_cancellation_is_not_lost_when_the_lookup_is_just_done() -> None:
    class Cancels(StubResolver):
        async def resolve(self, *args: Any, **kwargs: Any) -> Any:
            checking.cancel()
            return await super().resolve(*args, **kwargs)

    checking = asyncio.create_task(
        Outgoing(frozenset(), Cancels(a_example=PUBLIC)).check("http://a.example/")
    )
    await asyncio.wait([checking])
    assert checking.cancelled()


@pytest.mark.parametrize("entry", ["nas.local", "nas.local:{port}", "NAS.local"])
@on_loop
async def test_allowed_hosts_are_reached_by_that_name_alone(entry: str) -> None:
    async with serve(answer) as server:
        names = ("nas_local", "nas_local_", "x_nas_local", "other_local")
        resolver = StubResolver(**dict.fromkeys(names, "127.0.0.1"))
        allowed = frozenset({entry.format(port=server.port)})
        assert await read(Outgoing(allowed, resolver), server.url(host="nas.local")) == "reached"
        for host in ("other.local", "127.0.0.1", "x.nas.local", "nas.local."):
            await refuse(Outgoing(allowed, resolver), server.url(host=host))
        assert server.hits == ["/"]


@on_loop
async def test_an_allowed_host_with_a_port_is_reached_there_alone() -> None:
    async with serve(answer) as server, serve(answer) as other:
        outgoing = Outgoing(frozenset({server.host}))
        await refuse(outgoing, other.url())
        assert await read(outgoing, server.url()) == "reached"
        assert not other.hits


@on_loop
async def test_an_allowed_port_may_be_any_but_must_be_named() -> None:
    resolver = StubResolver(nas_local="192.168.1.5")
    await Outgoing(frozenset({"nas.local:81"}), resolver).check("http://nas.local:81/")
    await refuse(Outgoing(frozenset({"nas.local"}), resolver), "http://nas.local:81/")


@on_loop
async def test_an_allowed_address_is_checked_without_a_lookup() -> None:
    resolver = StubResolver()
    outgoing = Outgoing(frozenset({"[fd00::5]:8080", "192.168.1.5"}), resolver)
    await outgoing.check("http://[fd00:0::5]:8080/")
    await outgoing.check("http://192.168.1.5/")
    await refuse(outgoing, "http://[::ffff:192.168.1.5]/")
    assert not resolver.asked


@pytest.mark.parametrize(
    "entry", ["", "http://a.example", "a.example/v", "a@b", "127.1", "a:b", "*", "*.local", "a?b"]
)
def test_what_is_no_host_cannot_be_allowed(entry: str) -> None:
    with pytest.raises(ValueError, match="expected it as in a URL"):
        Outgoing(frozenset({entry}))


@on_loop
async def test_no_proxy_cookie_or_compression_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(headers={"Set-Cookie": "who=first; Path=/"})

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with serve(handler) as server:
        outgoing = Outgoing(frozenset({server.host}))
        for _ in range(2):
            async with outgoing.open(server.url()) as response:
                assert response.status == 200
        await outgoing.close()
    assert [headers["accept-encoding"] for headers in seen] == ["identity"] * 2
    assert not any("cookie" in headers for headers in seen)


@on_loop
async def test_every_request_looks_its_name_up_anew() -> None:
    async with serve(answer) as server:
        resolver = StubResolver(a_example="127.0.0.1")
        outgoing = Outgoing(frozenset({"a.example"}), resolver)
        for _ in range(3):
            async with outgoing.open(server.url(host="a.example")) as response:
                assert await response.text() == "reached"
        assert resolver.asked == ["a.example"] * 3
        await outgoing.close()


@on_loop
async def test_a_server_that_is_not_there_or_breaks_off_is_an_error_in_our_words() -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 HTTP 500\r\n\r\n")
        request.transport.close()
        return web.Response()

    async with serve(break_off) as server:
        with pytest.raises(OutgoingError, match="broke off before") as broken:
            await read(Outgoing(frozenset({server.host})), server.url())
    with pytest.raises(OutgoingError, match="could not be connected to") as gone:
        await read(Outgoing(frozenset({server.host})), server.url())
    for error in (broken, gone):
        assert "HTTP 5" not in str(error.value)


@on_loop
async def test_a_post_ends_when_its_time_is_over() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with serve(slow) as server:
        outgoing = Outgoing(frozenset({server.host}))
        with pytest.raises(OutgoingError, match="in time"):
            await outgoing.post(server.url(), b"", {}, 0.05)
        await outgoing.close()
