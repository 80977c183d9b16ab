"""WebP, still or animated, which libav reads only in part: times from the file, pixels by Pillow.

Container: RFC 9649, section 2. Pillow is one of ComfyUI's requirements and none of the core's: it
is imported when a WebP file comes, and asked for by name where it is not there.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any

import numpy as np
import torch

from ..errors import MediaError
from .frame import Frame
from .source import MOST_PIXELS, ImageSequence, VideoSource, describe, too_large

_UNTIMED = Fraction(1, 10)
"""Seconds that a frame of length 0 stays, as in browsers; and a still picture."""
_AGAIN = "expected a whole WebP file. Export it again, for instance as H.264 in mp4."


@dataclass(frozen=True, kw_only=True)
class WebP:
    """What a WebP file says of itself.

    Args:
        width, height: in pixels.
        lengths: seconds each frame stays; a single one for a still picture.
        data: its whole chunks: decoders take no file with a broken tail.
    """

    width: int
    height: int
    lengths: tuple[Fraction, ...]
    data: bytes

    @property
    def times(self) -> tuple[Fraction, ...]:
        """When each frame appears, in seconds, and when the last one disappears."""
        return tuple(accumulate(self.lengths, initial=Fraction(0)))


def is_webp(source: VideoSource | ImageSequence) -> bool:
    """Whether this is a file that begins as WebP does."""
    if isinstance(source, ImageSequence):
        return False
    try:
        start = _read(source, 12)
    except OSError:  # told better where it is opened
        return False
    return start[:4] == b"RIFF" and start[8:] == b"WEBP"


def read_webp(source: VideoSource) -> WebP:
    """Size and frame times, from the chunks alone; a frame that is cut off is left out.

    Raises:
        MediaError: there is not one whole frame.
    """
    data = _read(source, -1)
    sizes: list[tuple[int, int]] = []
    lengths: list[Fraction] = []
    stills = 0
    whole = 12
    for kind, begin, end in _chunks(data):
        chunk = data[begin:end]
        if kind == b"ANMF" and len(chunk) >= 16:
            lengths.append(Fraction(_number(chunk, 12), 1000) or _UNTIMED)
        stills += kind in (b"VP8 ", b"VP8L")
        sizes += _size(kind, chunk)
        whole = end + end % 2
    if not sizes or not (lengths or stills):
        raise MediaError(f"{describe(source)} holds no whole frame; {_AGAIN}")
    if sizes[0][0] * sizes[0][1] > MOST_PIXELS:
        raise too_large(*sizes[0])
    body = data[8:whole].ljust(whole - 8, b"\0")
    return WebP(
        width=sizes[0][0],
        height=sizes[0][1],
        lengths=tuple(lengths) or (_UNTIMED,),
        data=b"RIFF" + len(body).to_bytes(4, "little") + body,
    )


def webp_frames(source: VideoSource, start: Fraction) -> Iterator[Frame]:
    """All pictures from one shown no later than ``start`` on; a broken one ends the video.

    Raises:
        MediaError: Pillow is not there, or the first picture cannot be decoded.
    """
    info = read_webp(source)
    image_module = _pillow(source)
    times = info.times
    first = max(0, sum(time <= start for time in times[:-1]) - 1)
    image: Any = None
    for index in range(first, len(info.lengths)):
        # Pillow raises whatever its decoders and limits come up with.
        try:
            if image is None:
                image = _open(image_module, info.data)
            image.seek(index)
            shown = image.convert("RGB")
        except Exception as error:
            if index > first:
                return
            raise MediaError(
                f"no frame of {describe(source)} could be decoded ({error}); {_AGAIN}"
            ) from error
        yield Frame(
            time=times[index],
            end_time=times[index + 1],
            rgb=lambda shown=shown: torch.as_tensor(np.array(shown)),
        )


def _open(image_module: Any, data: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # large pictures are nothing unusual in a video
        return image_module.open(io.BytesIO(data), formats=["WEBP"])


def _pillow(source: VideoSource) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MediaError(
            f"{describe(source)} is WebP, which only Pillow reads, and Pillow is not installed;"
            " expected Pillow 9 or newer, as ComfyUI has it. Run pip install pillow, or export the"
            " video as mp4."
        ) from error
    return Image


def _read(source: VideoSource, count: int) -> bytes:
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            return file.read(count)
    source.seek(0)
    data = source.read(count)
    source.seek(0)
    return data


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of every chunk that is there in full."""
    place = 12
    limit = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while place + 8 <= limit:
        begin = place + 8
        end = begin + int.from_bytes(data[place + 4 : begin], "little")
        if end > limit:
            return
        yield data[place : place + 4], begin, end
        place = end + end % 2


def _size(kind: bytes, chunk: bytes) -> list[tuple[int, int]]:
    """Width and height that a chunk states, if it is one that does."""
    if kind == b"VP8X" and len(chunk) >= 10:
        return [(_number(chunk, 4) + 1, _number(chunk, 7) + 1)]
    if kind == b"VP8L" and len(chunk) >= 5:
        bits = int.from_bytes(chunk[1:5], "little")
        return [((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)]
    if kind == b"VP8 " and len(chunk) >= 10:
        sides = (int.from_bytes(chunk[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return [(next(sides), next(sides))]
    return []


def _number(chunk: bytes, at: int) -> int:
    return int.from_bytes(chunk[at : at + 3], "little")
