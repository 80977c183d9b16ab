"""Interlaced pictures: deinterlaced for the encoders, in their places; others untouched."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.filter import Graph

from mmaudio_core.media import FrameReader, VideoFile

from .made_videos import steady, write_video

F = Fraction
_INTERLACED = {"flags": "+ildct+ilme", "preset": "ultrafast", "crf": "1", "g": "30"}


def write_interlaced(path: Path, count: int = 10, size: int = 96, order: str = "tff") -> Path:
    """A white bar moves right by 6 pixels a field, the first of which is the top or bottom one."""
    first = 0 if order == "tff" else 1
    graph = Graph()
    source = graph.add_buffer(
        width=size, height=size, format=av.VideoFormat("yuv420p"), time_base=F(1, 25)
    )
    graph.link_nodes(source, graph.add("setfield", order), graph.add("buffersink")).configure()
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=25, options=_INTERLACED)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(count):
            picture = np.full((size, size, 3), 20, np.uint8)
            for field in (0, 1):
                left = (2 * number + field) * 6 % (size - 16)
                picture[(field + first) % 2 :: 2, left : left + 16] = 230
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, F(1, 25)
            graph.push(frame)
            output.mux(stream.encode(graph.vpull()))
        output.mux(stream.encode(None))
    return path


def combing(rgb: torch.Tensor) -> float:
    """How much lines differ from the mean of both their neighbors."""
    shade = rgb.float().mean(-1)
    return (shade[1:-1] - (shade[:-2] + shade[2:]) / 2).abs().mean().item()


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_interlaced_frames_are_deinterlaced(order: str, tmp_path: Path) -> None:
    path = write_interlaced(tmp_path / "a.mp4", order=order)
    with av.open(path) as container:
        stored = list(container.decode(video=0))
    assert all(frame.interlaced_frame for frame in stored)
    raw = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in stored]
    seen = list(VideoFile(path).frames())
    assert [frame.time for frame in seen] == steady(10, 25)
    assert [frame.end_time for frame in seen] == [time + F(1, 25) for time in steady(10, 25)]
    for before, after in zip(raw, seen, strict=True):
        assert combing(before) > 8
        assert combing(after.rgb()) < 2
    kept = 0 if order == "tff" else 1  # the first field in time is kept as it is
    for before, after in zip(raw[1:-1], seen[1:-1], strict=True):
        difference = (after.rgb()[kept::2].float() - before[kept::2].float()).abs()
        assert difference.mean() < 2


def test_progressive_frames_do_not_pass_the_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, steady(10, 25))
    monkeypatch.setattr("mmaudio_core.media.deinterlace.Graph", None)
    assert len(list(VideoFile(path).frames())) == 10


def test_progressive_frames_among_interlaced_ones_stay(tmp_path: Path) -> None:
    write_interlaced(tmp_path / "a.ts")
    write_video(tmp_path / "b.ts", steady(10, 25))
    joined = tmp_path / "c.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    seen = list(VideoFile(joined).frames())
    assert len(seen) == 20
    alone = list(VideoFile(tmp_path / "b.ts").frames())
    for got, expected in zip(seen[-10:], alone, strict=True):
        assert torch.equal(got.rgb(), expected.rgb())


def test_a_change_of_size_ends_the_filter(tmp_path: Path) -> None:
    write_interlaced(tmp_path / "a.ts", 5)
    write_interlaced(tmp_path / "b.ts", 5, 64)
    joined = tmp_path / "c.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    seen = list(VideoFile(joined).frames())
    assert [len(frame.rgb()) for frame in seen] == [96] * 5 + [64] * 5
    assert all(combing(frame.rgb()) < 4 for frame in seen)


def test_seeking_and_picking_are_as_for_others(tmp_path: Path) -> None:
    path = write_interlaced(tmp_path / "a.mp4", 100)
    start = next(VideoFile(path).frames(F(5, 2)))
    assert start.time == F(12, 5)
    whole = torch.cat([chunk.sync for chunk in FrameReader(path)])
    part = torch.cat([chunk.sync for chunk in FrameReader(path, start=F(3), duration=F(1))])
    # The first frames after a key frame lack what was before it.
    assert len(part) == 25
    assert (part.float() - whole[75:].float()).abs().mean() < 1
