"""Parts of files: copied packet by packet from key frames on, encoded from anywhere else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from mmaudio_core.media import VideoFile
from mmaudio_core.mux import FileOptions, MuxResult, mux_audio

from .made_videos import numbers, steady, write_video
from .test_mux import packets_of

F = Fraction
COPIED = "The part begins at a key frame: the video was copied, not encoded again."
_X264 = {"g": "30", "bf": "2", "preset": "ultrafast", "sc_threshold": "0"}
_CLOSED = {**_X264, "x264-params": "open-gop=0"}
_OPEN = {**_X264, "x264-params": "open-gop=1"}


def cut(source: Path, start: Fraction, duration: Fraction | None, **options: Any) -> MuxResult:
    return mux_audio(
        source,
        torch.zeros(1, 16000),
        16000,
        source.with_name("out"),
        start=start,
        duration=duration,
        file_options=FileOptions(**options),
    )


def shown(path: Path) -> tuple[list[int], list[Fraction]]:
    frames = list(VideoFile(path).frames())
    pictures = torch.stack([frame.rgb() for frame in frames]).permute(0, 3, 1, 2)
    return numbers(pictures), [frame.time for frame in frames]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("first", [0, 30, 60])
@pytest.mark.parametrize("count", [None, 1, 7, 29, 30])
def test_from_a_key_frame_packets_are_copied(
    name: str, first: int, count: int | None, tmp_path: Path
) -> None:
    source = tmp_path / name
    unit = F(1, 1000) if name == "a.mkv" else F(1, 90_000)
    write_video(source, steady(90, 25), unit=unit, options=_CLOSED)
    if (first, count) == (0, None):
        return
    duration = None if count is None else F(count, 25)
    result = cut(source, F(first, 25), duration)
    assert COPIED in result.notes
    assert result.video_codec == "h264" and result.container == "mp4"
    last = 90 if count is None else first + count
    assert shown(result.path)[0] == list(range(first, last))
    assert shown(result.path)[1] == [F(number, 25) for number in range(last - first)]
    if name != "a.ts":  # whose packets mark where a unit begins
        whole, part = packets_of(source), packets_of(result.path)
        assert part == whole[first : first + len(part)]
        assert last - first <= len(part) <= last - first + 3


@pytest.mark.parametrize("start", [F(29, 25), F(31, 25), F(121, 100)])
def test_from_elsewhere_it_is_encoded(start: Fraction, tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, steady(60, 25), options=_CLOSED)
    result = cut(source, start, None)
    assert COPIED not in result.notes
    first = int(start * 25)
    assert shown(result.path)[0] == list(range(first, 60))


def test_frames_before_an_open_key_frame_are_needed(tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    write_video(source, steady(90, 25), unit=F(1, 1000), options=_OPEN)
    index = VideoFile(source).packets.packets
    keys = [number for number, packet in enumerate(index) if packet.key][1:]
    opened = [
        key for key in keys if any((p.pts or 0) < (index[key].pts or 0) for p in index[key + 1 :])
    ]
    assert opened
    start = F(index[opened[0]].pts or 0, 1000)
    result = cut(source, start, None)
    assert COPIED not in result.notes
    assert shown(result.path)[0] == list(range(round(start * 25), 90))


def test_matroska_that_would_show_frames_after_the_cut_is_encoded(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, steady(60, 25), options=_CLOSED)
    copied = encoded = 0
    for count in range(2, 8):
        result = cut(source, F(30, 25), F(count, 25), container="mkv")
        assert shown(result.path)[0] == list(range(30, 30 + count))
        copied += COPIED in result.notes
        encoded += any("come after the cut" in note for note in result.notes)
    assert copied and encoded and copied + encoded == 6
