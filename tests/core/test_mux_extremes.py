"""Bare streams without times, two hours of picture, thousands of frames of GIF."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from mmaudio_core.media import open_source
from mmaudio_core.mux import FileOptions, mux_audio

F = Fraction
NTSC = F(30000, 1001)


def write(path: Path, codec: str, count: int, rate: Fraction, form: str, **options: str) -> None:
    """Small pictures whose upper left is brighter by 8 from one to the next, modulo 250."""
    pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
    with av.open(path, "w", format=form) as output:
        stream: Any = output.add_stream(codec, rate=rate)
        stream.width = stream.height = 32
        stream.pix_fmt, stream.options = pix_fmt, options
        for number in range(count):
            picture = np.full((32, 32, 3), 25, np.uint8)
            picture[:16, :16] = 8 * number % 250
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, 1 / rate
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def shown(path: Path) -> list[tuple[float, int]]:
    """When each frame is shown, in seconds after the first one, and the level of its upper left."""
    with av.open(path) as container:
        frames = [
            (frame.time, int(frame.to_ndarray(format="gray")[8, 8]))
            for frame in container.decode(video=0)
        ]
    return [(time - frames[0][0], level) for time, level in frames]


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("form", ["h264", "hevc"])
@pytest.mark.parametrize("rate", [F(25), NTSC])
def test_bare_streams(form: str, container: str, rate: Fraction, tmp_path: Path) -> None:
    """Their frames are in order, B-frames too, at the rate that the codec's header tells."""
    source = tmp_path / f"bare.{form}"
    quiet = {"x265-params": "log-level=none:pools=1:bframes=3"} if form == "hevc" else {"bf": "3"}
    write(source, f"libx{form[1:].replace('evc', '265')}", 30, rate, form, **quiet)
    assert open_source(source).info.frame_rate == rate
    result = mux_audio(
        source,
        torch.zeros(1, 16000),
        16000,
        tmp_path / "out",
        file_options=FileOptions(container=container),
    )
    got = shown(result.path)
    assert len(got) == 30
    assert [time for time, _ in got] == pytest.approx(
        [n / float(rate) for n in range(30)], abs=2e-3
    )
    levels = [level for _, level in got]
    assert levels == pytest.approx([8 * n for n in range(30)], abs=9) and levels == sorted(levels)
    with av.open(result.path) as copy:
        told = copy.streams.video[0].average_rate
        assert told is not None and abs(told - rate) < F(1, 2)  # mkv rounds times to milliseconds


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_two_hours(container: str, tmp_path: Path) -> None:
    """One picture a second, and a second of sound."""
    write(tmp_path / "long.mp4", "libx264", 7200, F(1), "mp4", preset="ultrafast", g="250")
    result = mux_audio(
        tmp_path / "long.mp4",
        torch.zeros(1, 16000),
        16000,
        tmp_path / "out",
        file_options=FileOptions(container=container),
    )
    assert (result.video_codec, result.notes) == ("h264", ())
    with av.open(tmp_path / "long.mp4") as source, av.open(result.path) as copy:
        assert float(copy.duration or 0) / av.time_base == pytest.approx(7200, abs=0.1)
        packets = [
            [(round(float(p.pts * p.time_base)), bytes(p)) for p in file.demux(video=0) if p.size]
            for file in (source, copy)
        ]
    first = packets[1][0][0]
    assert [(time - first, data) for time, data in packets[1]] == packets[0]


def test_gif_of_4000_frames(tmp_path: Path) -> None:
    write(tmp_path / "long.gif", "gif", 4000, F(25), "gif")
    result = mux_audio(tmp_path / "long.gif", torch.zeros(1, 16000), 16000, tmp_path / "out")
    got = shown(result.path)
    assert [time for time, _ in got] == pytest.approx([n / 25 for n in range(4000)], abs=1e-3)
    levels = [level for _, level in shown(tmp_path / "long.gif")]
    assert [level for _, level in got] == pytest.approx(levels, abs=24)
    assert len(set(levels)) > 3
