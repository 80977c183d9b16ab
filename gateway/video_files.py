"""Videos that clients send or name, as files that hold a video and nothing else."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from av.error import FFmpegError

from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.media import VideoFile
from ..mmaudio_core.media.compat import open_input
from ..mmaudio_core.partial_files import partial_file
from .containers import SNIFFED_BYTES, Container, describe, sniff

_BASE64 = re.compile(rb"[A-Za-z0-9+/]*")


class FetchError(Exception):
    """A video that cannot be had or used; the text is for the user.

    None of the other server's words are in it, and no path of this machine.
    """


@dataclass(frozen=True)
class FetchLimits:
    """What a video may cost.

    Attributes:
        size: bytes, whatever the server announces.
        first_byte_seconds: from the request to the first byte of the file, redirects included.
        total_seconds: from the request to the last byte.
        video_seconds: length of the video.
        pixels: its width and its height.
    """

    size: int = 500_000_000
    first_byte_seconds: float = 60.0
    total_seconds: float = 600.0
    video_seconds: float = 600.0
    pixels: int = 8192


@dataclass(frozen=True)
class VideoFacts:
    """A video's length, and its size as shown, in pixels."""

    seconds: float
    width: int
    height: int


DEFAULT_LIMITS = FetchLimits()


def decode_data_uri(text: str, limit: int = DEFAULT_LIMITS.size) -> bytes:
    """The content of a data URI (RFC 2397), base64 or percent-encoded.

    Raises:
        FetchError: if it is none, is empty, or holds more than ``limit`` bytes.
    """
    scheme, comma, data = text.partition(",")
    if scheme[:5].lower() != "data:" or not comma:
        raise FetchError("got no data URI; expected one such as data:video/mp4;base64,AAAA...")
    encoded = scheme.lower().endswith(";base64")
    if len(data) > 4 * (limit + 4):  # base64 whose every letter is percent-encoded
        raise too_large(limit)
    content = unquote_to_bytes(data)
    if encoded:
        content = _decode_base64(content)
    if len(content) > limit:
        raise too_large(limit)
    if not content:
        raise _empty()
    return content


def write_video(video: bytes | Path, folder: Path, stem: str) -> Path:
    """Keep a video that was sent, or a copy of a file; a file of ``stem`` is replaced.

    Returns:
        ``folder/stem`` with the extension of its content.

    Raises:
        FetchError: if it is no video.
        OSError: if it cannot be read or written.
    """
    with partial_file(folder) as partial:
        if isinstance(video, Path):
            shutil.copyfile(video, partial)
        else:
            partial.write_bytes(video)
        return publish(partial, folder, stem, _container_of(partial))


async def probe_video(path: Path, limits: FetchLimits = DEFAULT_LIMITS) -> VideoFacts:
    """Length and size of a video, read in a thread.

    Raises:
        FetchError: if it has no picture, cannot be read, or exceeds a limit.
    """
    return await asyncio.to_thread(_probe, path, limits)


def publish(partial: Path, folder: Path, stem: str, container: Container) -> Path:
    """Give a file that is whole its name: ``stem`` with the extension of its content."""
    path = folder / (stem + container.extension)
    os.replace(partial, path)
    return path


def _container_of(path: Path) -> Container:
    with path.open("rb") as file:
        return require_video(file.read(SNIFFED_BYTES))


def require_video(head: bytes | bytearray) -> Container:
    """The container of a file that begins with ``head``.

    Raises:
        FetchError: if it is no video.
    """
    if not head:
        raise _empty()
    start = bytes(head[:SNIFFED_BYTES])
    container = sniff(start)
    if container is None:
        raise FetchError(
            f"got {describe(start)}; expected a video: mp4, mov, mkv, webm, avi, mpeg, ts, flv or"
            " ogv. Give the address of the file itself, not of a page or a playlist."
        )
    return container


def _probe(path: Path, limits: FetchLimits) -> VideoFacts:
    _check_demuxer(path)
    try:
        info = VideoFile(path).info
    except MediaError as error:
        raise FetchError(without_path(str(error), path.name)) from error
    if info.duration > limits.video_seconds:
        raise FetchError(
            f"got a video of {float(info.duration):.1f} seconds, expected at most"
            f" {limits.video_seconds:g}. Cut it."
        )
    if max(info.width, info.height) > limits.pixels:
        raise FetchError(
            f"got a video of {info.width}x{info.height} pixels, expected at most {limits.pixels} in"
            " width and height. Scale it down."
        )
    return VideoFacts(seconds=float(info.duration), width=info.width, height=info.height)


def without_path(message: str, name: str) -> str:
    """``message`` with "the video" for every path, in quotes or not, in which ``name`` stands."""
    name = re.escape(name)
    return re.sub(rf"""(['"]).*?{name}.*?\1|\S*{name}\S*""", "the video", message)


def _check_demuxer(path: Path) -> None:
    """Refuse a file that libav, left to guess, takes for another kind than its first bytes say.

    Only then is it safe to let anything else open it: guesses go by more than the first bytes, and
    what reads a playlist opens other files.
    """
    try:
        options = {"format_whitelist": _container_of(path).demuxer}
        open_input(str(path.absolute()), options).close()
    except (FFmpegError, ValueError, OSError) as error:
        raise FetchError(
            "got a file that begins as a video and cannot be opened as one; expected a whole video."
            " Try to play it, then export or upload it again."
        ) from error


def _decode_base64(data: bytes) -> bytes:
    """As standard or URL-safe base64, with or without padding."""
    data = data.translate(bytes.maketrans(b"-_", b"+/"), b"\r\n\t ").rstrip(b"=")
    try:
        if not _BASE64.fullmatch(data):
            raise ValueError("a character that is none of base64")
        return base64.b64decode(data + b"=" * (-len(data) % 4))
    except (ValueError, binascii.Error) as error:
        raise FetchError(
            "got a data URI that is not base64; expected the file's bytes in base64 after the comma"
        ) from error


def too_large(limit: int) -> FetchError:
    """The error for more than ``limit`` bytes."""
    return FetchError(
        f"got a video of more than {limit / 1_000_000:g} MB, expected at most that. Cut it, or"
        " compress it more."
    )


def _empty() -> FetchError:
    return FetchError("got an empty file (0 bytes); expected a video")
