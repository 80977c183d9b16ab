"""Frames that an edit list hides stay hidden, and the others are shown for the same time."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch

from mmaudio_core.mux import FileOptions, MuxResult, mux_audio

from .made_videos import numbers, steady, write_video
from .mp4_boxes import set_edits
from .test_mux import packets_of, shown_times

F = Fraction
DELAY = F(2, 25)
"""Where the first frame begins in a file with B-frames."""
EDITS = {
    "the beginning": (range(12, 50), [(F(12, 25), F(38, 25))]),
    "the end": (range(0, 38), [(F(0), F(38, 25))]),
    "the end, cut in a group of B-frames": (range(0, 37), [(F(0), F(37, 25))]),
    "both": (range(12, 38), [(F(12, 25), F(26, 25))]),
    "all but one frame": (range(30, 31), [(F(30, 25), F(1, 25))]),
}
"""By what is hidden: the numbers shown, and the (start, duration) of each edit."""
CUT = [(F(0), F(10, 25)), (F(30, 25), F(10, 25))]
"""Two edits, which hide the middle."""


def edited(path: Path, edits: list[tuple[Fraction, Fraction]], *, b_frames: bool = True) -> Path:
    """50 numbered frames, parts of which are shown."""
    options = {"g": "30", "bf": "2" if b_frames else "0", "preset": "ultrafast"}
    write_video(path, steady(50, 25), options=options)
    delay = DELAY if b_frames else F(0)
    set_edits(path, [(start + delay, duration) for start, duration in edits])
    return path


def mux(source: Path, container: str) -> MuxResult:
    return mux_audio(
        source,
        torch.zeros(1, 32000),
        16000,
        source.with_name(f"out_{source.stem}"),
        file_options=FileOptions(container=container),
    )


def shown_numbers(path: Path) -> list[int]:
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return numbers(torch.stack([torch.from_numpy(frame) for frame in frames]).permute(0, 3, 1, 2))


def end_of_picture(path: Path) -> list[int]:
    """Durations of the first track in milliseconds: by its last edit, its header, the movie's."""
    data = path.read_bytes()
    track, movie, edits = (data.index(kind) + 4 for kind in (b"tkhd", b"mvhd", b"elst"))
    count = struct.unpack_from(">I", data, edits + 4)[0]
    places = edits + 8 + 12 * (count - 1), track + 20, movie + 16
    return [struct.unpack_from(">I", data, place)[0] for place in places]


@pytest.mark.parametrize("container", ["mp4", "mov"])
@pytest.mark.parametrize("hidden", EDITS)
def test_hidden_frames_stay_hidden(hidden: str, container: str, tmp_path: Path) -> None:
    """In a file that is muxed twice, too; all packets are there."""
    frames, edits = EDITS[hidden]
    source = edited(tmp_path / "a.mp4", edits)
    assert shown_numbers(source) == list(frames)
    for _ in range(2):
        result = mux(source, container)
        assert (result.container, result.video_codec) == (container, "h264")
        assert packets_of(result.path) == packets_of(source)
        assert shown_numbers(result.path) == list(frames)
        assert shown_times(result.path) == steady(len(frames), 25)
        edit, track, movie = end_of_picture(result.path)
        assert edit == track == len(frames) * 40
        assert 0 <= movie - track <= 64  # an AAC frame at 16 kHz
        source = result.path


@pytest.mark.parametrize("hidden", ["the beginning", "both"])
def test_what_matroska_cannot_hide_is_encoded(hidden: str, tmp_path: Path) -> None:
    frames, edits = EDITS[hidden]
    source = edited(tmp_path / "a.mp4", edits)
    result = mux(source, "mkv")
    assert (result.container, result.video_codec) == ("mkv", "h264")
    assert "mkv cannot hide the frames that the file's edit list leaves out" in result.notes[0]
    assert shown_numbers(result.path) == list(frames)
    assert abs(shown_times(result.path)[-1] - F(len(frames) - 1, 25)) < F(1, 1000)


def test_frames_that_nothing_refers_to_are_left_out_of_matroska(tmp_path: Path) -> None:
    source = edited(tmp_path / "a.mp4", [(F(0), F(38, 25))], b_frames=False)
    result = mux(source, "mkv")
    assert "encoded" not in "".join(result.notes)
    assert packets_of(result.path) == packets_of(source)[:38]
    assert shown_numbers(result.path) == list(range(38))


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_middle_that_is_left_out(container: str, tmp_path: Path) -> None:
    """libav's muxer writes one edit: two parts of a file are encoded."""
    source = edited(tmp_path / "a.mp4", CUT)
    expected = [*range(10), *range(30, 40)]
    assert shown_numbers(source) == expected
    result = mux(source, container)
    assert f"{container} cannot hide the frames" in result.notes[0]
    assert shown_numbers(result.path) == expected


def test_a_video_that_ends_with_its_sound(tmp_path: Path) -> None:
    """Frames behind the cut that B-frames refer to are not shown."""
    source = tmp_path / "a.mp4"
    write_video(source, steady(50, 25), options={"g": "50", "bf": "2", "preset": "ultrafast"})
    packets = packets_of(source)
    for count in (25, 26, 27):
        waveform = torch.zeros(1, 16000 * count // 25)
        options = FileOptions(trim_to_audio=True)
        result = mux_audio(source, waveform, 16000, tmp_path / "out", file_options=options)
        assert shown_numbers(result.path) == list(range(count))
        copied = packets_of(result.path)
        assert copied == packets[: len(copied)] and count <= len(copied) <= count + 1
        assert end_of_picture(result.path)[0] == count * 40
