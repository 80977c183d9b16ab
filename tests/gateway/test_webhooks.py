"""Webhooks: signed, repeated until they are taken, and never to a private address."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.servers import PUBLIC, StubResolver, on_loop, serve
from tests.pack import load_pack_module

webhooks = load_pack_module("gateway.webhooks")
outgoing_module = load_pack_module("gateway.outgoing")
Outgoing = outgoing_module.Outgoing

BODY = '{"status": "OK",  "prompt": "Regen in Köln"}'.encode()


class Store:
    """Rows in memory, and what was asked of them."""

    def __init__(self, *hooks: Any) -> None:
        self.rows = {hook.id: hook for hook in hooks}
        self.failing = False

    async def due_webhooks(self, now: float) -> list[Any]:
        self._fail()
        return sorted(
            (hook for hook in self.rows.values() if hook.next_at <= now),
            key=lambda hook: hook.next_at,
        )

    async def save_webhook(self, hook: Any) -> None:
        self._fail()
        self.rows[hook.id] = hook

    async def delete_webhook(self, id: str) -> None:
        self._fail()
        del self.rows[id]

    def _fail(self) -> None:
        if self.failing:
            raise OSError("the disk is full")


class Receiver:
    """Notes what it gets, and answers with ``statuses`` in turn, the last one for good."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses or (200,))
        self.got: list[tuple[dict[str, str], bytes]] = []

    async def __call__(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append((headers, await request.read()))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(status=status, headers={"Location": "/elsewhere"})


def owed(url: str, id: str = "hook", **changes: Any) -> Any:
    hook = webhooks.OwedWebhook(
        id=id, job_id="job", url=url, body=BODY, secret="key", timeout_s=5, attempts=0, next_at=0
    )
    return replace(hook, **changes)


@asynccontextmanager
async def delivering(
    store: Store, allowed: str, clock: Callable[[], float] = lambda: 1000.0
) -> AsyncIterator[Any]:
    """Webhooks of ``store``, sent while the context lasts."""
    outgoing = Outgoing(frozenset({allowed}))
    sender = webhooks.Webhooks(store, outgoing, clock=clock)
    running = asyncio.create_task(sender.run())
    try:
        yield sender
        assert not running.done()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await outgoing.close()


async def until(condition: Callable[[], Any], seconds: float = 3) -> None:
    """Wait for something to become true."""
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


def test_a_signature_is_what_wavespeed_documents() -> None:
    headers = webhooks.sign("key", "id", 1700000000, b"{}")
    message = b"id.1700000000.{}"
    assert headers == {
        "webhook-id": "id",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v3," + hmac.new(b"key", message, hashlib.sha256).hexdigest(),
    }
    # the same, by "printf id.1700000000.{} | openssl dgst -sha256 -hmac key"
    assert headers["webhook-signature"] == (
        "v3,fc7aae83f26c314bc8de6acac71f795b5a14f56649379fca36ab54bed1787cb7"
    )


@on_loop
async def test_what_is_sent_is_what_was_signed() -> None:
    receiver = Receiver()
    async with serve(receiver) as server:
        store = Store(owed(server.url("/hook?a=b")))
        async with delivering(store, server.host, clock=lambda: 1700000000.9):
            await until(lambda: not store.rows)
    [(headers, body)] = receiver.got
    assert body == BODY
    assert headers["content-type"] == "application/json"
    assert headers.items() >= webhooks.sign("key", "hook", 1700000000, BODY).items()


@on_loop
async def test_failed_attempts_are_repeated_by_schedule_then_given_up() -> None:
    receiver = Receiver(500, 404, 301, 429, 304, 503)
    now = [1000.0]
    waits = []
    async with serve(receiver) as server:
        store = Store(owed(server.url()))
        async with delivering(store, server.host, clock=lambda: now[0]) as sender:
            for attempt in range(1, 6):
                await until(lambda attempt=attempt: store.rows["hook"].attempts == attempt)
                hook = store.rows["hook"]
                waits.append(hook.next_at - now[0])
                now[0] = hook.next_at - 1
                sender.wake()
                await asyncio.sleep(0.05)
                assert len(receiver.got) == attempt  # not before its time
                now[0] += 1
                sender.wake()
            await until(lambda: not store.rows)
            await asyncio.sleep(0.05)
    assert waits == [30, 120, 600, 1800, 3600]
    assert len(receiver.got) == 6
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {"hook"}
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in receiver.got]
    assert stamps == [1000, 1030, 1150, 1750, 3550, 7150]
    for (headers, body), stamp in zip(receiver.got, stamps, strict=True):
        assert headers.items() >= webhooks.sign("key", "hook", stamp, body).items()
    assert server.hits == ["/"] * 6  # no redirect was followed


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@on_loop
async def test_every_2xx_is_success(status: int) -> None:
    receiver = Receiver(status)
    async with serve(receiver) as server:
        store = Store(owed(server.url()))
        async with delivering(store, server.host):
            await until(lambda: not store.rows)
    assert len(receiver.got) == 1


@on_loop
async def test_what_was_owed_before_a_restart_is_sent() -> None:
    receiver = Receiver(500, 200)
    async with serve(receiver) as server:
        store = Store(owed(server.url()))
        async with delivering(store, server.host):
            await until(lambda: store.rows["hook"].attempts == 1)
        async with delivering(store, server.host, clock=lambda: 1030.0):
            await until(lambda: not store.rows)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len(receiver.got) == 2


@on_loop
async def test_what_is_being_sent_when_comfyui_ends_is_still_owed() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with serve(slow) as server:
        store = Store(owed(server.url()))
        async with delivering(store, server.host):
            await until(lambda: server.hits)
        assert store.rows["hook"].attempts == 0
        assert len(asyncio.all_tasks()) < 5  # nothing goes on


@on_loop
async def test_it_ends_even_if_it_is_woken_at_the_same_time() -> None:
    sender = webhooks.Webhooks(Store(), Outgoing(frozenset()))
    running = asyncio.create_task(sender.run())
    await asyncio.sleep(0.02)
    sender.wake()
    running.cancel()
    await asyncio.wait([running], timeout=20)
    assert running.cancelled()


@on_loop
async def test_a_new_webhook_is_sent_at_once() -> None:
    receiver = Receiver()
    async with serve(receiver) as server:
        store = Store()
        async with delivering(store, server.host) as sender:
            await asyncio.sleep(0.02)
            store.rows["hook"] = owed(server.url())
            sender.wake()
            await until(lambda: not store.rows, seconds=1)


@on_loop
async def test_due_webhooks_are_found_without_being_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_POLL_SECONDS", 0.05)
    receiver = Receiver()
    now = [1000.0]
    async with serve(receiver) as server:
        store = Store(owed(server.url(), next_at=1030))
        async with delivering(store, server.host, clock=lambda: now[0]):
            await asyncio.sleep(0.15)
            assert not receiver.got
            now[0] = 1030.0
            await until(lambda: not store.rows, seconds=1)


@on_loop
async def test_a_slow_receiver_delays_no_other() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    quick = Receiver()
    async with serve(slow) as slow_server, serve(quick) as server:
        outgoing_hosts = frozenset({slow_server.host, server.host})
        hooks = [owed(slow_server.url(), id=f"slow {n}") for n in range(20)]
        hooks += [owed(server.url(), id=f"quick {n}", next_at=1) for n in range(20)]
        store = Store(*hooks)
        outgoing = Outgoing(outgoing_hosts)
        running = asyncio.create_task(
            webhooks.Webhooks(store, outgoing, clock=lambda: 1000.0).run()
        )
        await until(lambda: len(quick.got) == 20)
        assert len(slow_server.hits) == 2
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await outgoing.close()
    assert len({headers["webhook-id"] for headers, _ in quick.got}) == 20


@on_loop
async def test_a_receiver_that_does_not_answer_is_left_after_its_time() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with serve(slow) as server:
        store = Store(owed(server.url(), id="a", timeout_s=0.05), owed(server.url(), id="b"))
        async with delivering(store, server.host):
            await until(lambda: store.rows["a"].attempts == 1, seconds=1)
            assert store.rows["b"].attempts == 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "a.example", "b.example"]
)
@on_loop
async def test_nothing_is_sent_to_a_private_address(host: str) -> None:
    receiver = Receiver()
    async with serve(receiver) as server:
        store = Store(owed(server.url(host=host)))
        resolver = StubResolver(a_example="127.0.0.1", b_example=[PUBLIC, "127.0.0.1"])
        outgoing = Outgoing(frozenset(), resolver)
        if host == "b.example":
            await outgoing.check(server.url(host=host))  # was public when the job was created
        running = asyncio.create_task(
            webhooks.Webhooks(store, outgoing, clock=lambda: 1000.0).run()
        )
        await until(lambda: store.rows["hook"].attempts == 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await outgoing.close()
    assert not server.hits


@on_loop
async def test_nothing_is_redirected_to_a_private_address() -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{inner.port}/"})

    async with serve(Receiver()) as inner, serve(redirect) as server:
        store = Store(owed(server.url()))
        async with delivering(store, server.host):
            await until(lambda: store.rows["hook"].attempts == 1)
        assert not inner.hits


@on_loop
async def test_what_is_settled_while_the_store_is_read_is_not_sent_again() -> None:
    class Slow(Store):
        async def due_webhooks(self, now: float) -> list[Any]:
            found = await super().due_webhooks(now)
            await asyncio.sleep(0.1)
            return found

    receiver = Receiver()

    async def half_as_slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return await receiver(request)

    async with serve(half_as_slow) as server:
        store = Slow(owed(server.url()))
        async with delivering(store, server.host) as sender:
            await until(lambda: server.hits)
            sender.wake()  # reads the row, which is deleted meanwhile
            await asyncio.sleep(0.4)
    assert len(receiver.got) == 1


@on_loop
async def test_a_store_that_fails_stops_nothing_and_repeats_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(webhooks, "_POLL_SECONDS", 0.02)
    receiver = Receiver()

    class Failing(Store):
        async def delete_webhook(self, id: str) -> None:
            raise OSError("the disk is full")

    async with serve(receiver) as server:
        store = Failing(owed(server.url()))
        async with delivering(store, server.host):
            await until(lambda: receiver.got)
            await asyncio.sleep(0.2)
            store.failing = True
            await asyncio.sleep(0.1)
            store.failing = False
            store.rows["other"] = owed(server.url(), id="other")
            await until(lambda: len(receiver.got) == 2)
    assert [headers["webhook-id"] for headers, _ in receiver.got] == ["hook", "other"]
    assert "could not be kept" in caplog.text
    assert "could not be read" in caplog.text
