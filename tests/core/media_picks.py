"""Which frames are picked from a video: by the core, and by ffmpeg's ``fps`` filter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.container import InputContainer
from av.error import BlockingIOError as Waiting
from av.error import EOFError as Ended
from av.error import FFmpegError
from av.filter import Graph
from PIL import Image

from mmaudio_core.media import FrameReader
from mmaudio_core.mux import mux_audio

from .made_videos import numbers
from .media_cases import Case

_WITHOUT_TIMES = (".avi", ".h264")  # AVI's may be half of the true ones


@dataclass(frozen=True, kw_only=True)
class Picked:
    """Numbers of the frames picked at 8 and at 25 per second."""

    clip: list[int]
    sync: list[int]


def ours(path: Path, case: Case) -> Picked:
    """Frames that the core picks."""
    chunks = list(FrameReader(path))
    clip, sync = (
        numbers(case.upright(torch.cat([getattr(chunk, name) for chunk in chunks])))
        for name in ("clip", "sync")
    )
    return Picked(clip=clip, sync=sync)


def ffmpegs(path: Path, case: Case) -> Picked:
    """Frames that libav's ``fps`` filter picks."""
    frames = list(_webp_frames(path) if path.suffix == ".webp" else _frames(path, case))
    frames.append(_once_more(frames[-1], _length_of_last(path) or case.times[-1] - case.times[-2]))
    return Picked(clip=_filtered(frames, 8), sync=_filtered(frames, 25))


def offset(path: Path, folder: Path) -> float:
    """Delay in seconds of sound muxed onto a video, read back from the file written.

    The sound is a click after half a second, located by the times of decoded audio frames.
    """
    rate, place = 48_000, 24_000
    waveform = torch.zeros(1, rate)
    waveform[0, place] = 0.9
    written = mux_audio(path, waveform, rate, folder / "muxed").path
    with av.open(written) as container:
        first = next(container.decode(video=0))
        shown = first.time
    with av.open(written) as container:
        loudest, heard = 0.0, 0.0
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray()[0])
            if samples.max() > loudest and frame.time is not None:
                loudest = float(samples.max())
                heard = frame.time + int(samples.argmax()) / frame.sample_rate
    assert shown is not None and loudest > 0.1
    return heard - place / rate - shown


def _frames(path: Path, case: Case) -> Iterator[av.VideoFrame]:
    """Decoded frames, with presentation times from the first one on, as some files store none."""
    with av.open(path) as container:
        zero: int | None = None
        for number, frame in enumerate(_decoded(container)):
            shown = _copy(frame)
            if path.suffix in _WITHOUT_TIMES:
                shown.time_base = Fraction(1, 90_000)
                shown.pts = round(case.times[number] * 90_000)
            else:
                assert frame.pts is not None
                zero = frame.pts if zero is None else zero
                shown.pts, shown.time_base = frame.pts - zero, frame.time_base
            yield shown


def _decoded(container: InputContainer) -> Iterator[av.VideoFrame]:
    """Every frame that decodes, up to a broken tail."""
    stream = container.streams.video[0]
    try:
        for packet in container.demux(stream):
            with suppress(FFmpegError):
                yield from packet.decode()
    except FFmpegError:
        yield from stream.codec_context.decode(None)


def _webp_frames(path: Path) -> Iterator[av.VideoFrame]:
    with Image.open(path) as image:
        shown = 0
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frame = av.VideoFrame.from_ndarray(np.array(image.convert("RGB")), "rgb24")
            frame.pts, frame.time_base = shown, Fraction(1, 1000)
            shown += image.info["duration"]
            yield frame


def _filtered(frames: list[av.VideoFrame], rate: int) -> list[int]:
    graph = Graph()
    first = frames[0]
    source = graph.add_buffer(
        width=first.width, height=first.height, format=first.format, time_base=first.time_base
    )
    picker, sink = graph.add("fps", f"fps={rate}:round=near"), graph.add("buffersink")
    source.link_to(picker)
    picker.link_to(sink)
    graph.configure()
    picked: list[int] = []
    for frame in (*frames, None):
        graph.push(frame)
        while True:
            try:
                out = graph.pull()
            except (Waiting, Ended):
                break
            assert isinstance(out, av.VideoFrame)
            shown = torch.from_numpy(out.to_ndarray(format="rgb24"))
            picked += numbers(shown.permute(2, 0, 1)[None])
    return picked


def _length_of_last(path: Path) -> Fraction | None:
    """For how long the last frame is shown, in seconds, if the file states it."""
    if path.suffix in (*_WITHOUT_TIMES, ".webp"):
        return None
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
    last = max(packets, key=lambda packet: packet.pts or 0)
    return last.duration * last.time_base if last.duration else None


def _once_more(last: av.VideoFrame, length: Fraction) -> av.VideoFrame:
    """The last frame at its end."""
    assert last.pts is not None and last.time_base is not None
    frame = _copy(last)
    frame.pts, frame.time_base = last.pts + round(length / last.time_base), last.time_base
    return frame


def _copy(frame: av.VideoFrame) -> av.VideoFrame:
    """The picture alone: PyAV has no name for the duration of a frame before version 15."""
    return av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), "rgb24")
