"""The videos that are read and muxed: a real clip, repeated, or one made in a wanted size."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_FPS = 25
_MADE_SECONDS = 2  # encoded; what is longer repeats them


def repeated(source: Path, seconds: float, target: Path) -> Path:
    """``source``, or a file in which its packets follow each other until it is long enough.

    Only for files that begin with a key frame and keep one frame rate.
    """
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        unit = stream.time_base
        packets = [packet for packet in container.demux(stream) if packet.dts is not None]
        step = min(packet.duration or 0 for packet in packets)
        length = step * len(packets)
        times = -(-Fraction(str(seconds)) // (length * unit))
        if times <= 1:
            return source
    with av.open(str(target), "w") as output, av.open(str(source)) as first:
        picture = output.add_stream_from_template(first.streams.video[0])
        for number in range(int(times)):
            with av.open(str(source)) as container:
                for packet in container.demux(container.streams.video[0]):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.dts += number * length
                    packet.pts += number * length
                    packet.time_base = unit
                    packet.stream = picture
                    output.mux(packet)
    return target


def made(width: int, height: int, seconds: float, folder: Path) -> Path:
    """An H.264 file of 25 frames a second in which all moves: shapes, a gradient, some grain."""
    short = folder / f"made_{width}x{height}.mp4"
    if not short.exists():
        _encode(short, width, height)
    return repeated(short, seconds, folder / f"made_{width}x{height}x{seconds:g}.mp4")


def _encode(path: Path, width: int, height: int) -> None:
    grain = np.random.default_rng(1).integers(0, 24, (height, width, 1), dtype=np.uint8)
    down, across = np.mgrid[0:height, 0:width]
    partial = path.with_suffix(".partial.mp4")
    with av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(_FPS * _MADE_SECONDS):
            turn = 2 * np.pi * number / (_FPS * _MADE_SECONDS)
            middle = width * (0.5 + 0.3 * np.cos(turn)), height * (0.5 + 0.3 * np.sin(turn))
            disc = np.hypot(across - middle[0], down - middle[1]) < height / 5
            shade = ((across + down + 8 * number) * 200 // (width + height) % 200).astype(np.uint8)
            picture = np.where(disc[..., None], (230, 120, 40), shade[..., None])
            picture = picture.astype(np.uint8) + np.roll(grain, 7 * number, axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    partial.rename(path)
