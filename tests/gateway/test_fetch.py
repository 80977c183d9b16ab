"""Videos that clients name or send: what is no video, too much, or endless leaves nothing."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from aiohttp import web

from tests.core.made_videos import steady, write_sound
from tests.core.made_videos import write_video as make_video
from tests.gateway.servers import StubResolver, on_loop, serve
from tests.pack import load_pack_module

fetch = load_pack_module("gateway.fetch")
video_files = load_pack_module("gateway.video_files")
outgoing_module = load_pack_module("gateway.outgoing")
FetchError, FetchLimits, Outgoing = (
    video_files.FetchError,
    video_files.FetchLimits,
    outgoing_module.Outgoing,
)

TIMES = steady(50, 25)
# Container by libav's name, codec, and the extension that its content is given.
CONTAINERS = {
    "mp4": ("libx264", ".mp4"),
    "mov": ("libx264", ".mov"),
    "matroska": ("libx264", ".mkv"),
    "webm": ("libvpx", ".webm"),
    "avi": ("mpeg4", ".avi"),
    "mpegts": ("libx264", ".ts"),
    "mpeg": ("mpeg2video", ".mpg"),
    "flv": ("libx264", ".flv"),
    "ogg": ("libvpx", ".ogv"),
}
PLAYLISTS = {
    "ffconcat": b"ffconcat version 1.0\nfile neighbour.mp4\n",
    "m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "m3u8 with a byte order mark": b"\xef\xbb\xbf#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n",
    "sdp": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
    "dash": b'<?xml version="1.0"?><MPD profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"/>',
    "pls": b"[playlist]\nFile1=http://127.0.0.1/\n",
    "html": b"<!DOCTYPE html><title>Log in</title>",
    "json": b'{"detail": "HTTP 500"}',
    "text": b"HTTP 429 Too Many Requests",
    "picture": b"\x89PNG\r\n\x1a\n",
    "webp": b"RIFF\x24\0\0\0WEBPVP8 ",
    "wave": b"RIFF\x24\0\0\0WAVEfmt ",
    "zip": b"PK\x03\x04",
}


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("made") / "v.mp4"
    make_video(path, TIMES)
    return path.read_bytes()


def sends(body: bytes, **headers: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(request: web.Request) -> web.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, headers=names)

    return handler


def raw(*pieces: bytes, pause: float = 0.0) -> Callable[[web.Request], Awaitable[Any]]:
    """Sends what no decent server would, then closes the connection."""

    async def handler(request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        for piece in pieces:
            transport.write(piece)
            await asyncio.sleep(pause)
        transport.close()
        return web.Response()

    return handler


async def get(handler: Any, folder: Path, limits: Any = None, path: str = "/v.mp4") -> Path:
    async with serve(handler) as server:
        outgoing = Outgoing(frozenset({server.host}))
        try:
            return await fetch.fetch_video(
                outgoing, server.url(path), folder, "id", limits or FetchLimits()
            )
        finally:
            await outgoing.close()


async def fail(handler: Any, folder: Path, limits: Any = None) -> str:
    """The error's words; nothing of the video is left."""
    with pytest.raises(FetchError) as failed:
        await get(handler, folder, limits)
    assert not list(folder.iterdir())
    text = str(failed.value)
    assert "HTTP 5" not in text and "HTTP 429" not in text
    return text


@on_loop
async def test_a_video_is_saved_as_it_came(mp4: bytes, tmp_path: Path) -> None:
    path = await get(sends(mp4, Content_Type="text/html"), tmp_path, path="/a.m3u8?b=c")
    assert path == tmp_path / "id.mp4"
    assert path.read_bytes() == mp4
    assert [item.name for item in tmp_path.iterdir()] == ["id.mp4"]


@on_loop
async def test_a_large_video_is_saved_whole(mp4: bytes, tmp_path: Path) -> None:
    large = mp4 + bytes(range(256)) * 20_000
    assert (await get(sends(large), tmp_path)).read_bytes() == large


@pytest.mark.parametrize("container", CONTAINERS)
@on_loop
async def test_every_container_is_known_by_its_content(container: str, tmp_path: Path) -> None:
    codec, extension = CONTAINERS[container]
    made, folder = tmp_path / "made", tmp_path / "fetched"
    folder.mkdir()
    make_video(made, TIMES, codec=codec, container=container, unit=Fraction(1, 25))
    path = await get(sends(made.read_bytes()), folder)
    assert path.suffix == extension
    facts = await video_files.probe_video(path)
    assert (facts.width, facts.height) == (96, 96)
    assert facts.seconds == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("body", PLAYLISTS.values(), ids=PLAYLISTS)
@on_loop
async def test_what_is_no_video_is_refused_whatever_it_is_called(
    body: bytes, mp4: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "fetched"
    folder.mkdir()
    (tmp_path / "neighbour.mp4").write_bytes(mp4)
    for padding in (b"", b"\n" * 2000):
        text = await fail(sends(body + padding, Content_Type="video/mp4"), folder)
        assert "expected a video" in text
        with pytest.raises(FetchError):
            video_files.write_video(body + padding, folder, "id")
        assert not list(folder.iterdir())
    (folder / "id.mp4").write_bytes(body)
    with pytest.raises(FetchError):
        await video_files.probe_video(folder / "id.mp4")


@on_loop
async def test_what_is_no_video_is_refused_at_its_first_bytes(tmp_path: Path) -> None:
    endless = raw(b"HTTP/1.1 200 OK\r\n\r\n", b"#EXTM3U\n" * 100, *[b"#\n" * 100] * 999, pause=0.05)
    assert "playlist" in await asyncio.wait_for(fail(endless, tmp_path), 20)


@on_loop
async def test_a_body_larger_than_allowed_is_refused(mp4: bytes, tmp_path: Path) -> None:
    limits = FetchLimits(size=len(mp4) - 1)
    assert "expected at most" in await fail(sends(mp4), tmp_path, limits)
    await get(sends(mp4), tmp_path, FetchLimits(size=len(mp4)))


@on_loop
async def test_an_announced_size_is_refused_at_once(mp4: bytes, tmp_path: Path) -> None:
    slow = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500000001\r\n\r\n", mp4, pause=60)
    assert "more than 500 MB" in await asyncio.wait_for(fail(slow, tmp_path), 20)


@pytest.mark.parametrize(
    "headers", [b"", b"Transfer-Encoding: chunked\r\n"], ids=["until closed", "chunked"]
)
@on_loop
async def test_a_body_that_never_ends_is_counted(
    headers: bytes, mp4: bytes, tmp_path: Path
) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n")
        piece = mp4 + bytes(100_000)
        if headers:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        while not request.transport.is_closing():
            request.transport.write(piece)
            await asyncio.sleep(0)
        return web.Response()

    text = await asyncio.wait_for(fail(endless, tmp_path, FetchLimits(size=3_000_000)), 20)
    assert "more than 3 MB" in text


@on_loop
async def test_a_body_shorter_than_announced_is_refused(mp4: bytes, tmp_path: Path) -> None:
    short = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + mp4)
    assert "before its answer was complete" in await fail(short, tmp_path)


@on_loop
async def test_of_a_body_longer_than_announced_no_more_is_kept(mp4: bytes, tmp_path: Path) -> None:
    header = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(mp4)
    for pieces in ((header + mp4, b"x" * 5000), (header + mp4 + b"x" * 5000,)):
        with suppress(FetchError):  # where aiohttp takes the rest for another answer
            path = await get(raw(*pieces), tmp_path)
            assert path.read_bytes() == mp4
            path.unlink()
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", ["-1", "1e9", "99999999999999999999", "5, 6"])
@on_loop
async def test_an_impossible_size_is_refused(length: str, mp4: bytes, tmp_path: Path) -> None:
    header = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    await fail(raw(header + mp4), tmp_path)


@on_loop
async def test_a_server_that_sends_nothing_is_left(tmp_path: Path) -> None:
    limits = FetchLimits(first_byte_seconds=0.1)
    for silent in (raw(b"", pause=60), raw(b"HTTP/1.1 200 OK\r\n\r\n", pause=60)):
        text = await asyncio.wait_for(fail(silent, tmp_path, limits), 20)
        assert "within 0.1 seconds" in text


@on_loop
async def test_headers_that_trickle_are_left(tmp_path: Path) -> None:
    trickle = raw(b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n"] * 999, pause=0.05)
    limits = FetchLimits(first_byte_seconds=0.3)
    assert "within 0.3 seconds" in await asyncio.wait_for(fail(trickle, tmp_path, limits), 20)


@on_loop
async def test_redirects_share_the_time_to_the_first_byte(tmp_path: Path) -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        return web.Response(status=302, headers={"Location": "/again"})

    limits = FetchLimits(first_byte_seconds=0.3)
    assert "within 0.3 seconds" in await fail(slow, tmp_path, limits)


@on_loop
async def test_a_body_that_trickles_is_left(mp4: bytes, tmp_path: Path) -> None:
    trickle = raw(b"HTTP/1.1 200 OK\r\n\r\n" + mp4, *[b"x"] * 999, pause=0.05)
    limits = FetchLimits(total_seconds=0.5)
    text = await asyncio.wait_for(fail(trickle, tmp_path, limits), 20)
    assert "within 0.5 seconds" in text


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 404, 429, 500, 503])
@on_loop
async def test_only_200_is_a_file(status: int, mp4: bytes, tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, reason=f"HTTP {status}", body=mp4)

    assert f"status {status}" in await fail(handler, tmp_path)


@on_loop
async def test_an_empty_body_is_refused(tmp_path: Path) -> None:
    assert "empty" in await fail(sends(b""), tmp_path)


@on_loop
async def test_a_compressed_body_is_refused(mp4: bytes, tmp_path: Path) -> None:
    body = sends(gzip.compress(mp4), Content_Encoding="gzip")
    assert "a compressed file" in await fail(body, tmp_path)


@on_loop
async def test_content_decides_whatever_encoding_is_claimed(mp4: bytes, tmp_path: Path) -> None:
    for claimed in ("gzip", "aws-chunked", "utf-8"):  # storage services pass on what they were told
        assert (await get(sends(mp4, Content_Encoding=claimed), tmp_path)).read_bytes() == mp4


@on_loop
async def test_a_cancelled_write_is_waited_for() -> None:
    """Windows does not delete a file that is being written."""
    state = []

    class SlowFile(io.BytesIO):
        def write(self, data: Any) -> int:
            state.append("begun")
            time.sleep(0.2)
            state.append("done")
            return len(data)

    writing = asyncio.create_task(fetch._write(SlowFile(), bytearray(b"x")))
    while not state:
        await asyncio.sleep(0.01)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert state == ["begun", "done"]


@on_loop
async def test_a_refused_url_leaves_nothing(tmp_path: Path) -> None:
    outgoing = Outgoing(frozenset(), StubResolver(a_example="127.0.0.1"))
    for url in ("http://127.0.0.1/v.mp4", "http://a.example/", "concat:a|b", "http://b.example/"):
        with pytest.raises(FetchError, match="expected"):
            await fetch.fetch_video(outgoing, url, tmp_path, "id")
    await outgoing.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("after", [0.0, 0.02, 0.15, 0.3])
@on_loop
async def test_nothing_is_left_after_a_cancellation(
    after: float, mp4: bytes, tmp_path: Path
) -> None:
    slow = raw(b"HTTP/1.1 200 OK\r\n\r\n", mp4, *[bytes(1 << 20)] * 100, pause=0.1)
    task = asyncio.create_task(get(slow, tmp_path))
    await asyncio.sleep(after)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list(tmp_path.iterdir())


@on_loop
async def test_a_full_disk_leaves_nothing(mp4: bytes, small_disk: Path) -> None:
    with pytest.raises(OSError):
        await get(sends(mp4 + bytes(1 << 21)), small_disk)
    assert not list(small_disk.iterdir())


def test_a_video_that_was_sent_is_kept(mp4: bytes, tmp_path: Path) -> None:
    upload = tmp_path / "token"
    upload.write_bytes(mp4)
    folder = tmp_path / "input"
    folder.mkdir()
    for video in (mp4, upload):
        assert video_files.write_video(video, folder, "id") == folder / "id.mp4"
        assert (folder / "id.mp4").read_bytes() == mp4
    assert upload.exists()
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    "uri",
    [
        "data:video/mp4;base64,AP/+",
        "DATA:;BASE64,AP/+",
        "data:;base64,AP_-",
        "data:;base64,AP%2F%2B",
        "data:;base64,AP/\n+",
        "data:,%00%ff%fe",
    ],
)
def test_data_uris_are_read(uri: str) -> None:
    assert video_files.decode_data_uri(uri, 3) == b"\x00\xff\xfe"


def test_base64_needs_no_padding() -> None:
    for count in range(1, 6):
        text = base64.b64encode(b"x" * count).decode()
        for padded in (text, text.rstrip("=")):
            assert video_files.decode_data_uri(f"data:;base64,{padded}", count) == b"x" * count
            if count > 1:
                with pytest.raises(FetchError, match="at most"):
                    video_files.decode_data_uri(f"data:;base64,{padded}", count - 1)


@pytest.mark.parametrize(
    "uri",
    ["data:", "data:video/mp4", "http://a/,b", "data:;base64,A", "data:;base64,é", "data:;base64,",
     "data:;base64,====", "data:,", "data:;base64,AA=AA", "data:;base64,A(B)"],
)  # fmt: skip
def test_what_is_no_data_uri_is_refused(uri: str) -> None:
    with pytest.raises(FetchError):
        video_files.decode_data_uri(uri, 100)


def test_a_large_data_uri_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for uri in ("data:;base64," + "A" * 140, "data:," + "%41" * 101, "data:," + "A" * 101):
        with pytest.raises(FetchError, match="at most"):
            video_files.decode_data_uri(uri, 100)
    monkeypatch.delattr(video_files, "unquote_to_bytes")  # not even decoded
    with pytest.raises(FetchError, match="at most"):
        video_files.decode_data_uri("data:;base64," + "A" * 2000, 100)


@on_loop
async def test_videos_too_long_or_too_large_are_refused(mp4: bytes, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(mp4)
    assert (await video_files.probe_video(path)).seconds == 2
    await video_files.probe_video(path, FetchLimits(video_seconds=2, pixels=96))
    with pytest.raises(FetchError, match=r"got a video of 2.0 seconds, expected at most 1.9"):
        await video_files.probe_video(path, FetchLimits(video_seconds=1.9))
    with pytest.raises(FetchError, match="96x96 pixels, expected at most 95"):
        await video_files.probe_video(path, FetchLimits(pixels=95))


@on_loop
async def test_a_file_without_a_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "id.mp4"
    write_sound(path)
    with pytest.raises(FetchError, match="the video has no video stream") as failed:
        await video_files.probe_video(path)
    assert str(tmp_path) not in str(failed.value)


@on_loop
async def test_a_broken_video_is_refused_without_its_path(mp4: bytes, tmp_path: Path) -> None:
    for number, broken in enumerate((mp4[:40], mp4[:12] + bytes(3000), b"\0\0\1\xba" + bytes(600))):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(broken)
        with pytest.raises(FetchError) as failed:
            await video_files.probe_video(path)
        assert str(tmp_path) not in str(failed.value)


@on_loop
async def test_a_video_that_libav_takes_for_a_playlist_is_refused(tmp_path: Path) -> None:
    """MPEG-TS by its first bytes; libav's guess is SDP, which opens sockets."""
    line = b"G\nc=IN IP4 127.0.0.1\n"
    polyglot = b"".join(line.ljust(188, b"x") for _ in range(3)) + b"\n" * 9
    path = video_files.write_video(polyglot, tmp_path, "id")
    assert path.suffix == ".ts"
    with av.open(str(path), options={"protocol_whitelist": "file,rtp,udp"}) as opened:
        assert opened.format.name == "sdp"
    with pytest.raises(FetchError, match="cannot be opened"):
        await video_files.probe_video(path)
