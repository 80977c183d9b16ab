"""The display size of a Matroska or WebM video track, which libav's muxer gets from no codec.

It takes the pixel aspect ratio from a field of the stream that PyAV cannot set. So the track is
written with a long name, and the name's room is then used for the two numbers.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from av.video.stream import VideoStream

from .atomic_output import OutputFile

ROOM = "~" * 40
"""What the track's name has to end with."""
_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_NAME, _VOID, _CRC32 = 0x536E, 0xEC, 0xBF
_WIDTH, _HEIGHT, _DISPLAY_WIDTH, _DISPLAY_HEIGHT, _UNIT = 0xB0, 0xBA, 0x54B0, 0x54BA, 0x54B2
_MUXERS = ("matroska", "webm")


def keep_pixel_aspect(output: OutputFile, stream: VideoStream, aspect: Fraction) -> None:
    """Have the pixel aspect ratio of the first track written, if the muxer does not write it."""
    if output.container.format.name in _MUXERS:
        stream.metadata["title"] = stream.metadata.get("title", "") + ROOM
        output.patches.append(lambda file: set_display_size(file, aspect))


@dataclass(frozen=True, kw_only=True)
class _Element:
    """An EBML element (RFC 8794): its id, and where its header and its content begin and end."""

    id: int
    header: int
    start: int
    end: int


def set_display_size(file: BinaryIO, aspect: Fraction) -> None:
    """Write the display size of the first track for a pixel aspect ratio (width : height)."""
    file.seek(0, 2)
    segment = _child(file, 0, file.tell(), _SEGMENT)
    tracks = _child(file, segment.start, segment.end, _TRACKS)
    file.seek(tracks.start)
    content = file.read(tracks.end - tracks.start)
    elements = list(_elements(content))
    track = next(element for element in elements if element.id == _TRACK)
    size = len(content[track.header : track.end])
    changed = _with_size(content[track.start : track.end], aspect, size)
    content = content[: track.header] + changed + content[track.end :]
    if elements[0].id == _CRC32:
        checked = content[elements[0].end :]
        checksum = zlib.crc32(checked).to_bytes(4, "little")
        content = content[: elements[0].start] + checksum + checked
    file.seek(tracks.start)
    file.write(content)


def _with_size(track: bytes, aspect: Fraction, size: int) -> bytes:
    """The track's element, as long as before: its size instead of the room in its name."""
    parts: list[bytes] = []
    for element in _elements(track):
        content = track[element.start : element.end]
        if element.id == _NAME:
            name = content.decode().removesuffix(ROOM).encode()
            parts += [_encode(_NAME, name)] if name else []
        elif element.id == _VIDEO:
            parts.append(_encode(_VIDEO, _video_with_size(content, aspect)))
        else:
            parts.append(track[element.header : element.end])
    payload = b"".join(parts)
    # a size of 4 bytes fits every track; what is left of the room is void
    room = size - len(_encode(_TRACK, payload, 4)) - 3
    return _encode(_TRACK, payload + _encode(_VOID, bytes(room), 2), 4)


def _video_with_size(video: bytes, aspect: Fraction) -> bytes:
    parts: list[bytes] = []
    width = height = 0
    for element in _elements(video):
        # a display size that libav wrote is that of one eye of stereo 3D, with square pixels
        if element.id in (_WIDTH, _DISPLAY_WIDTH):
            width = int.from_bytes(video[element.start : element.end], "big")
        elif element.id in (_HEIGHT, _DISPLAY_HEIGHT):
            height = int.from_bytes(video[element.start : element.end], "big")
        if element.id not in (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _UNIT):
            parts.append(video[element.header : element.end])
    # the exact ratio in whole numbers, no smaller than the picture
    ratio = (aspect * Fraction(width, height)).limit_denominator(65535)
    scale = math.ceil(Fraction(height, ratio.denominator))
    for identifier, value in (
        (_DISPLAY_WIDTH, ratio.numerator * scale),
        (_DISPLAY_HEIGHT, ratio.denominator * scale),
    ):
        parts.append(_encode(identifier, value.to_bytes(4, "big")))
    return b"".join(parts)


def _child(file: BinaryIO, position: int, end: int, identifier: int) -> _Element:
    """The first element with this id between two places."""
    while position < end:
        file.seek(position)
        element = next(_elements(file.read(16), only_headers=True))
        element = _Element(
            id=element.id,
            header=position,
            start=position + element.start,
            end=min(end, position + element.end),
        )
        if element.id == identifier:
            return element
        position = element.end
    raise AssertionError(f"got no element {identifier:#x}")


def _elements(data: bytes, *, only_headers: bool = False) -> Iterator[_Element]:
    position = 0
    while position < len(data):
        header = position
        length = 9 - data[position].bit_length()
        identifier = int.from_bytes(data[position : position + length], "big")
        position += length
        length = 9 - data[position].bit_length()
        marker = 1 << 7 * length
        size = int.from_bytes(data[position : position + length], "big") - marker
        position += length
        yield _Element(id=identifier, header=header, start=position, end=position + size)
        if only_headers:
            return
        position += size


def _encode(identifier: int, content: bytes, size_length: int = 0) -> bytes:
    """An element; its size takes ``size_length`` bytes, or as few as it can."""
    size = len(content)
    length = size_length or next(n for n in range(1, 9) if size < (1 << 7 * n) - 1)
    head = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return head + (size | 1 << 7 * length).to_bytes(length, "big") + content
