"""The kinds of video that people have: frames as ffmpeg's own filter picks them, sound in step."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmaudio_core.media import FrameReader, open_source

from .media_cases import CASES, missing_encoder
from .media_picks import ffmpegs, offset, ours


@pytest.fixture(params=CASES)
def title(request: pytest.FixtureRequest) -> str:
    """Every case whose encoder this PyAV has; the others are skipped, saying which it lacks."""
    missing = missing_encoder(CASES[request.param])
    if missing is not None:
        pytest.skip(missing)
    return request.param


def test_frames_are_those_of_ffmpegs_filter(title: str, tmp_path: Path) -> None:
    case = CASES[title]
    path = case.write(tmp_path)
    got, wanted = ours(path, case), ffmpegs(path, case)
    assert got.clip == wanted.clip[: len(got.clip)]
    assert got.sync == wanted.sync[: len(got.sync)]
    # The filter rounds the video's end; what is not a whole frame is left out here.
    assert 0 <= len(wanted.clip) - len(got.clip) <= 1
    assert 0 <= len(wanted.sync) - len(got.sync) <= 1


def test_lengths_are_known_beforehand(title: str, tmp_path: Path) -> None:
    """But for a broken tail, where a packet may give no frame."""
    case = CASES[title]
    path = case.write(tmp_path)
    reader = FrameReader(path)
    assert sum(len(chunk.sync) for chunk in reader) == int(25 * reader.duration)
    if case.damage is None or not title.startswith("broken"):
        assert abs(open_source(path).info.duration - reader.duration) <= 0.001
        if path.suffix != ".h264":
            assert len(open_source(path).frame_times()) == len(case.times)


def test_sound_begins_with_the_picture(title: str, tmp_path: Path) -> None:
    assert abs(offset(CASES[title].write(tmp_path), tmp_path)) < 0.005
