"""Many kinds of video: frames as ffmpeg's filter picks them, sound in sync."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmaudio_core.media import FrameReader, open_source

from .media_cases import CASES, missing_encoder
from .media_picks import ffmpegs, offset, ours


@pytest.fixture(params=CASES)
def title(request: pytest.FixtureRequest) -> str:
    """The cases whose encoder this PyAV has; the others are skipped."""
    missing = missing_encoder(CASES[request.param])
    if missing is not None:
        pytest.skip(missing)
    return request.param


def test_frames_match_ffmpegs_filter(title: str, tmp_path: Path) -> None:
    case = CASES[title]
    path = case.write(tmp_path)
    got, expected = ours(path, case), ffmpegs(path, case)
    assert got.clip == expected.clip[: len(got.clip)]
    assert got.sync == expected.sync[: len(got.sync)]
    # The filter rounds the video's end; the core leaves out a last frame that is not whole.
    assert 0 <= len(expected.clip) - len(got.clip) <= 1
    assert 0 <= len(expected.sync) - len(got.sync) <= 1


def test_the_packets_give_the_length(title: str, tmp_path: Path) -> None:
    """Except with a broken tail, where a packet may give no frame."""
    case = CASES[title]
    path = case.write(tmp_path)
    reader = FrameReader(path)
    assert sum(len(chunk.sync) for chunk in reader) == int(25 * reader.duration)
    if case.damage is None or not title.startswith("broken"):
        assert abs(open_source(path).info.duration - reader.duration) <= 0.001
        if path.suffix != ".h264":
            assert len(open_source(path).frame_times()) == len(case.times)


def test_sound_starts_with_the_picture(title: str, tmp_path: Path) -> None:
    assert abs(offset(CASES[title].write(tmp_path), tmp_path)) < 0.005
