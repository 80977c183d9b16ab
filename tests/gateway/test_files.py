"""Files by token: who has the address gets the file; an upload's takes one file, once, in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.gateway.servers import on_loop
from tests.pack import load_pack_module

app_module = load_pack_module("gateway.app")
files_module = load_pack_module("gateway.files")
uploads_module = load_pack_module("gateway.uploads")
store_module = load_pack_module("gateway.store")
errors = load_pack_module("gateway.errors")

OWNER = "a" * 64
BASE = "http://sound.example.com/mmaudio"


class Place:
    """Files on a test server."""

    def __init__(self, client: TestClient, store: Any, files: Any, folder: Path) -> None:
        self.client = client
        self.store = store
        self.files = files
        self.folder = folder

    async def ticket(
        self, name: str = "clip.mp4", kind: str | None = None, size: int | None = None
    ):
        return await self.files.uploads.ticket(OWNER, BASE, name, kind, size)

    async def put(self, url: str, data: Any) -> int:
        async with self.client.put(path_of(url), data=data) as answer:
            return answer.status

    async def get(self, url: str, **headers: str) -> tuple[int, bytes, Any]:
        async with self.client.get(path_of(url), headers=headers) as answer:
            return answer.status, await answer.read(), answer.headers


def path_of(url: str) -> str:
    return url.removeprefix("http://sound.example.com")


@asynccontextmanager
async def place(folder: Path, retention: float = 3600.0) -> AsyncIterator[Place]:
    store = store_module.Store(folder / "gateway.db")
    files = files_module.Files(store, folder / "uploads", retention)
    gateway = web.Application(middlewares=[app_module._plain_errors])
    gateway.add_routes(files.routes())
    root = web.Application(client_max_size=1024)
    root.add_subapp("/mmaudio", gateway)
    try:
        async with TestClient(TestServer(root)) as client:
            yield Place(client, store, files, folder / "uploads")
    finally:
        store.close()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@on_loop
async def test_an_upload_is_served_as_it_came(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000  # above what a body that is read at once may have
    async with place(tmp_path) as here:
        ticket = await here.ticket(size=len(content))
        assert await here.put(ticket.upload_url, content) == 200
        status, got, headers = await here.get(ticket.file_url)
        assert (status, got) == (200, content)
        assert headers["Content-Type"] == "video/mp4"
        assert headers["X-Content-Type-Options"] == "nosniff"
        status, got, headers = await here.get(ticket.file_url, Range="bytes=10-19")
        assert (status, got) == (206, content[10:20])
        async with here.client.head(path_of(ticket.file_url)) as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(content)))


@on_loop
async def test_a_ticket_is_used_once(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        ticket = await here.ticket()
        assert await here.put(ticket.upload_url, b"first") == 200
        assert await here.put(ticket.upload_url, b"second") == 404
        assert (await here.get(ticket.file_url))[1] == b"first"


@on_loop
async def test_a_ticket_is_used_in_time(
    tmp_path: Path,
) -> None:
    async with place(tmp_path) as here:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(uploads_module, "UPLOAD_SECONDS", -1.0)
            ticket = await here.ticket()
        assert await here.put(ticket.upload_url, b"late") == 404
        assert left(here.folder) == []


@on_loop
async def test_a_body_is_at_most_as_large_as_announced(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:  # chunked: no length is announced
        for _ in range(11):
            yield b"0123456789"

    async with place(tmp_path) as here:
        ticket = await here.ticket(size=100)
        assert await here.put(ticket.upload_url, b"x" * 101) == 413
        assert await here.put(ticket.upload_url, pieces()) == 413
        assert left(here.folder) == []
        assert (await here.get(ticket.file_url))[0] == 404
        assert await here.put(ticket.upload_url, b"x" * 100) == 200
        with pytest.raises(errors.TooLargeError):
            await here.ticket(size=500 * 10**6 + 1)


@on_loop
async def test_a_compressed_body_counts_as_what_it_unpacks_to(tmp_path: Path) -> None:
    import gzip

    async with place(tmp_path) as here:
        ticket = await here.ticket(size=1000)
        bomb = gzip.compress(bytes(10**6))
        async with here.client.put(
            path_of(ticket.upload_url), data=bomb, headers={"Content-Encoding": "gzip"}
        ) as answer:
            assert answer.status == 413
        assert left(here.folder) == []


@on_loop
async def test_a_body_that_breaks_off_or_is_empty_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"0123456789"
        raise aiohttp.ClientConnectionError("gone")

    async with place(tmp_path) as here:
        ticket = await here.ticket()
        assert await here.put(ticket.upload_url, b"") == 400
        with pytest.raises(aiohttp.ClientError):
            await here.put(ticket.upload_url, broken())
        await asyncio.sleep(0.2)
        assert left(here.folder) == []
        assert await here.put(ticket.upload_url, b"whole") == 200


@on_loop
async def test_parts_are_joined_in_their_order(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        ticket = await here.ticket(size=31)
        for number in (2, 10, 1, *range(3, 10)):
            async with here.client.put(
                f"{path_of(ticket.upload_url)}/{number}?x=1", data=f"<{number}>".encode()
            ) as answer:
                told = await answer.json()
                assert told["partNumber"] == number and told["etag"]
        async with here.client.put(f"{path_of(ticket.upload_url)}/11", data=b"x") as answer:
            assert answer.status == 413
        async with here.client.post(f"{path_of(ticket.upload_url)}/complete", json={}) as answer:
            assert answer.status == 200
        status, got, _ = await here.get(ticket.file_url)
        assert (status, got) == (200, b"".join(f"<{n}>".encode() for n in range(1, 11)))
        assert len(left(here.folder)) == 1
        async with here.client.post(f"{path_of(ticket.upload_url)}/complete", json={}) as answer:
            assert answer.status == 404


@on_loop
async def test_a_missing_part_is_said(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        ticket = await here.ticket()
        for number in (1, 3):
            await here.put(f"{ticket.upload_url}/{number}", b"part")
        async with here.client.post(f"{path_of(ticket.upload_url)}/complete", json={}) as answer:
            assert answer.status == 400
            assert "[1, 3]" in (await answer.json())["message"]


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("a\r\nSet-Cookie: b=c.mp4", "a_Set-Cookie_b_c.mp4"),
        ('"><script>alert(1)</script>.html', "script.html"),
        ("über straße.MP4", "ber_stra_e.MP4"),
        ("日本語.mp4", "file.mp4"),
        (".htaccess", "file.htaccess"),
        ("", "file"),
        ("..", "file"),
        ("a" * 5000 + ".mp4", "a" * 80 + ".mp4"),
        ("clip\0.mp4", "clip.mp4"),
    ],
)
def test_a_clients_name_is_cleaned(given: str, clean: str) -> None:
    assert load_pack_module("gateway.tokens").clean_name(given) == clean


@on_loop
async def test_a_name_is_no_path(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        ticket = await here.ticket("../../../escaped.mp4")
        assert await here.put(ticket.upload_url, b"data") == 200
        assert len(left(here.folder)) == 1
        assert not list(tmp_path.parent.rglob("escaped*"))
        assert ticket.file_url.endswith("/escaped.mp4")
        token = ticket.file_url.split("/")[-2]
        for name in ("x", "..%2f..%2fgateway.db", "%00"):  # the token alone decides
            status, got, _ = await here.get(f"/mmaudio/files/{token}/{name}")
            assert (status, got) == (200, b"data")


@pytest.mark.parametrize(
    "kind", ["text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "a/b\r\nX: y", "nonsense"]
)
def test_no_page_is_served(kind: str, tmp_path: Path) -> None:
    @on_loop
    async def case() -> None:
        async with place(tmp_path) as here:
            ticket = await here.ticket("page.html", kind)
            await here.put(ticket.upload_url, b"<script>")
            _, _, headers = await here.get(ticket.file_url)
            assert headers["Content-Type"] == "application/octet-stream"
            assert headers["Content-Security-Policy"].startswith("sandbox")

    case()


@on_loop
async def test_an_upload_is_known_by_its_address_wherever_it_is_reached(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        ticket = await here.ticket()
        with pytest.raises(errors.NotFoundError):  # it has not arrived
            await here.files.own(ticket.file_url, OWNER)
        await here.put(ticket.upload_url, b"data")
        token = ticket.file_url.split("/")[-2]
        for url in (ticket.file_url, f"http://127.0.0.1:8188/mmaudio/files/{token}/x.mp4?a=b"):
            assert (await here.files.own(url, OWNER)).path.read_bytes() == b"data"
        assert await here.files.own("https://example.com/clip.mp4", OWNER) is None
        with pytest.raises(errors.NotFoundError):
            await here.files.own(ticket.file_url, "b" * 64)


@on_loop
async def test_files_expire(tmp_path: Path) -> None:
    async with place(tmp_path, retention=0.2) as here:
        ticket = await here.ticket()
        await here.put(ticket.upload_url, b"data")
        assert (await here.get(ticket.file_url))[0] == 200
        await asyncio.sleep(0.3)
        assert (await here.get(ticket.file_url))[0] == 410
        await here.store.forget_files(time.time())
        assert (await here.get(ticket.file_url))[0] == 404


@on_loop
async def test_what_is_unknown_is_404(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        for path in ("files/short", f"files/{'a' * 43}/x", "files", "uploads/x", "nowhere"):
            async with here.client.get(f"/mmaudio/{path}") as answer:
                assert answer.status == 404, path
                assert (await answer.json())["error"] == "not_found"
        async with here.client.delete(f"/mmaudio/files/{'a' * 43}/x") as answer:
            assert answer.status == 405


def test_a_second_process_does_not_open_the_store(tmp_path: Path) -> None:
    store = store_module.Store(tmp_path / "gateway.db")
    try:
        with pytest.raises(store_module.StoreError, match="in use by another ComfyUI"):
            store_module.Store(tmp_path / "gateway.db")
    finally:
        store.close()
    store_module.Store(tmp_path / "gateway.db").close()


class Paused:
    """A body of two pieces, the second of which is sent when ``go`` is set."""

    def __init__(self, first: bytes, second: bytes) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self._pieces = first, second

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._pieces[0]
        self.begun.set()
        await self.go.wait()
        yield self._pieces[1]


@on_loop
async def test_parts_sent_side_by_side_hold_no_more_than_the_size_in_all(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        ticket = await here.ticket(size=10)
        bodies = [Paused(b"1234", b"5") for _ in range(3)]
        sent = [
            asyncio.create_task(here.put(f"{ticket.upload_url}/{number}", body))
            for number, body in enumerate(bodies, 1)
        ]
        for body in bodies:
            await body.begun.wait()
        await asyncio.sleep(0.1)
        for body in bodies:
            body.go.set()
        assert sorted(await asyncio.gather(*sent)) == [200, 200, 413]
        assert sum(path.stat().st_size for path in here.folder.rglob("*") if path.is_file()) == 10


@on_loop
async def test_an_upload_is_not_completed_while_a_part_arrives(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        ticket = await here.ticket()
        assert await here.put(f"{ticket.upload_url}/1", b"one") == 200
        body = Paused(b"tw", b"o")
        sent = asyncio.create_task(here.put(f"{ticket.upload_url}/2", body))
        await body.begun.wait()
        await asyncio.sleep(0.1)
        async with here.client.post(f"{path_of(ticket.upload_url)}/complete") as answer:
            assert answer.status == 400
        assert await here.put(ticket.upload_url, b"whole") == 400
        body.go.set()
        assert await sent == 200
        async with here.client.post(f"{path_of(ticket.upload_url)}/complete") as answer:
            assert answer.status == 200
        assert (await here.get(ticket.file_url))[1] == b"onetwo"


@on_loop
async def test_what_has_expired_goes_with_its_parts_and_past_what_cannot(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        broken_off, stuck, whole = [await here.ticket() for _ in range(3)]
        assert await here.put(f"{broken_off.upload_url}/1", b"one") == 200
        assert await here.put(whole.upload_url, b"whole") == 200
        stored = await here.store.file(stuck.id)
        stored.path.mkdir()
        await here.files.forget_expired(time.time() + 3601)
        assert left(here.folder) == []


@pytest.mark.parametrize("whole", [True, False])
@on_loop
async def test_a_body_that_cannot_be_read_is_the_clients_fault(tmp_path: Path, whole: bool) -> None:
    async with place(tmp_path) as here:
        path = path_of((await here.ticket()).upload_url) + ("" if whole else "/1")
        headers = {"Content-Encoding": "gzip"}
        async with here.client.put(path, data=b"no gzip", headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]) == (400, "bad_request")
        assert left(here.folder) == []


@on_loop
async def test_a_full_disk_is_told_in_the_shape_of_errors(tmp_path: Path, small_disk: Path) -> None:
    async with place(tmp_path) as here:
        here.files.uploads._folder = small_disk / "uploads"
        ticket = await here.ticket()
        async with here.client.put(path_of(ticket.upload_url), data=bytes(2_000_000)) as answer:
            assert (answer.status, (await answer.json())["error"]) == (500, "internal_error")
        assert left(small_disk) == []
        assert await here.put(ticket.upload_url, b"there is room again") == 200


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/dl?from=/mmaudio/files/{token}/a.mp4",
        "https://a.example/#/mmaudio/files/{token}/a.mp4",
        "https://a.example/mmaudio/files/{token}/a.mp4/b",
        "https://[a.example/mmaudio/files/{token}/a.mp4",
        "https://a.example/mmaudio/files/{token}/" + "a" * 8192,
    ],
)
@on_loop
async def test_a_url_whose_path_is_none_of_ours(tmp_path: Path, url: str) -> None:
    async with place(tmp_path) as here:
        assert await here.files.own(url.format(token="a" * 43), OWNER) is None


@on_loop
async def test_a_long_text_of_our_urls_is_read_at_once(tmp_path: Path) -> None:
    """Once, it took the square of its length, and ComfyUI stood still meanwhile."""
    async with place(tmp_path) as here:
        text = f"/mmaudio/files/{'a' * 43}#" * 10_000 + "\n\nx"
        began = time.process_time()
        assert await here.files.own(text, OWNER) is None
        assert time.process_time() - began < 1


@pytest.mark.parametrize("part", ["", "/1"])
@on_loop
async def test_a_body_that_trickles_ends_with_its_ticket(tmp_path: Path, part: str) -> None:
    async with place(tmp_path) as here:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(uploads_module, "UPLOAD_SECONDS", 0.5)
            ticket = await here.ticket()
        body = Paused(b"a", b"b")
        assert await asyncio.wait_for(here.put(ticket.upload_url + part, body), 20) == 400
        assert left(here.folder) == []


@pytest.mark.parametrize(
    "kind", ["vid\u00e9o/mp4", "video/mp\uff14", "video/mp4\r\nX-A: b", "a/b/c"]
)
@on_loop
async def test_a_content_type_that_is_none(tmp_path: Path, kind: str) -> None:
    async with place(tmp_path) as here:
        ticket = await here.ticket(kind=kind)
        assert await here.put(ticket.upload_url, b"file") == 200
        headers = (await here.get(ticket.file_url))[2]
        assert headers["Content-Type"] == "application/octet-stream"
        assert "X-A" not in headers
