"""The display size of a Matroska or WebM video track, which libav's muxer gets from no codec.

It takes the pixel aspect ratio from a field of the stream that PyAV cannot set. So the track is
written with a long name, and the name's room is then used for the two numbers.
"""

from __future__ import annotations

import math
import zlib
from fractions import Fraction
from typing import BinaryIO

from av.video.stream import VideoStream

from ..media.cropping import Crop
from ..media.ebml import find_element, list_elements, make_element
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


def set_display_size(file: BinaryIO, aspect: Fraction) -> None:
    """Write the display size of the first track for a pixel aspect ratio (width : height)."""
    file.seek(0, 2)
    segment = find_element(file, 0, file.tell(), _SEGMENT)
    tracks = find_element(file, segment.start, segment.end, _TRACKS)
    file.seek(tracks.start)
    content = file.read(tracks.end - tracks.start)
    elements = list(list_elements(content))
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
    for element in list_elements(track):
        content = track[element.start : element.end]
        if element.id == _NAME:
            name = content.decode().removesuffix(ROOM).encode()
            parts += [make_element(_NAME, name)] if name else []
        elif element.id == _VIDEO:
            parts.append(make_element(_VIDEO, _video_with_size(content, aspect)))
        else:
            parts.append(track[element.header : element.end])
    payload = b"".join(parts)
    # a size of 4 bytes fits every track; what is left of the room is void
    room = size - len(make_element(_TRACK, payload, 4)) - 3
    return make_element(_TRACK, payload + make_element(_VOID, bytes(room), 2), 4)


def _video_with_size(video: bytes, aspect: Fraction) -> bytes:
    parts: list[bytes] = []
    crop = Crop.of_matroska(video)
    width = height = 0
    for element in list_elements(video):
        value = int.from_bytes(video[element.start : element.end], "big")
        # a display size that libav wrote is that of one eye of stereo 3D, with square pixels
        if element.id == _WIDTH:
            width = value - crop.left - crop.right
        elif element.id == _HEIGHT:
            height = value - crop.top - crop.bottom
        elif element.id == _DISPLAY_WIDTH:
            width = value
        elif element.id == _DISPLAY_HEIGHT:
            height = value
        if element.id not in (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _UNIT):
            parts.append(video[element.header : element.end])
    # the exact ratio in whole numbers, no smaller than the picture
    ratio = (aspect * Fraction(width, height)).limit_denominator(65535)
    scale = math.ceil(Fraction(height, ratio.denominator))
    for identifier, value in (
        (_DISPLAY_WIDTH, ratio.numerator * scale),
        (_DISPLAY_HEIGHT, ratio.denominator * scale),
    ):
        parts.append(make_element(identifier, value.to_bytes(4, "big")))
    return b"".join(parts)
