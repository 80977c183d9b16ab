"""Small videos whose frames carry their own number in their pixels."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

_BITS = 9  # three rows of three squares
_X264 = {"g": "30", "bf": "2", "preset": "ultrafast"}


def numbered(number: int, width: int = 96, height: int = 96) -> np.ndarray:
    """A picture (H, W, 3) uint8 that shows ``number`` (below 512) as black and white squares."""
    picture = np.full((height, width, 3), 25, np.uint8)
    for bit in range(_BITS):
        row, column = divmod(bit, 3)
        if number >> bit & 1:
            top, left = row * height // 3, column * width // 3
            picture[top : top + height // 3, left : left + width // 3] = 230
    return picture


def numbers(frames: Tensor) -> list[int]:
    """The numbers that ``numbered`` put into frames (n, 3, H, W)."""
    height, width = frames.shape[2:]
    result = torch.zeros(len(frames), dtype=torch.int64)
    for bit in range(_BITS):
        row, column = divmod(bit, 3)
        square = frames[:, :, (2 * row + 1) * height // 6, (2 * column + 1) * width // 6]
        result += (square.float().mean(1) > 127).long() << bit
    return result.tolist()


def expected_picks(times: Sequence[Fraction], rate: int, count: int) -> list[int]:
    """The published rule, literally; ``times`` are relative to the output's time 0."""
    half = Fraction(1, 2)
    return [
        max(i for i, time in enumerate(times) if (time * rate + half) // 1 <= n)
        for n in range(count)
    ]


def write_video(
    path: Path | io.BytesIO,
    times: Sequence[Fraction],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (96, 96),
    unit: Fraction = Fraction(1, 90_000),
    container: str | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    sound: bool = False,
    layouts: Sequence[str] = (),
) -> Path | io.BytesIO:
    """Encode ``numbered`` frames shown at ``times``.

    ``sound`` adds a track with a second of silence; ``layouts`` adds one for each.
    """
    if options is None:
        options = _X264 if codec == "libx264" else {}
    steps = [later - earlier for earlier, later in pairwise(times)]
    rate = 1 / min(steps) if steps else Fraction(25)
    with av.open(path, "w", format=container, container_options=container_options) as output:
        stream = output.add_stream(codec, rate=rate.limit_denominator(1001), options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = unit
        layouts = layouts or (("mono",) if sound else ())
        tracks = [output.add_stream("aac", rate=16000, layout=layout) for layout in layouts]
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered(number, *size), "rgb24")
            frame = frame.reformat(format=pix_fmt)
            frame.pts = round(time / unit)
            frame.time_base = unit
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        for track, layout in zip(tracks, layouts, strict=True):
            still = np.zeros((len(av.AudioLayout(layout).channels), 16000), np.float32)
            silence = av.AudioFrame.from_ndarray(still, "fltp", layout)
            silence.sample_rate = 16000
            output.mux([*track.encode(silence), *track.encode(None)])
    return path


def steady(count: int, rate: Fraction | int) -> list[Fraction]:
    """Times of ``count`` frames at a constant rate."""
    return [Fraction(i) / rate for i in range(count)]


def write_sound(path: Path) -> Path:
    """Write a file that has an audio track only."""
    with av.open(path, "w") as output:
        stream = output.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        output.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Write a rotation or mirroring into an mp4's first track header."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd") + 4
    place = header + (52 if data[header] == 1 else 40)
    matrix = [value << 16 for value in (a, b, 0, c, d, 0, 0, 0)]
    data[place : place + 36] = struct.pack(">8iI", *matrix, 1 << 30)
    path.write_bytes(data)
