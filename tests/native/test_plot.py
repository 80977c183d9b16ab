"""MMAudioPlot: the picture it draws, and the onsets in it."""

from __future__ import annotations

import pytest

from .conftest import Inside

CLICKS = [0.5, 1.25, 1.4, 2.7]


def test_onsets(inside: Inside) -> None:
    found = inside("plot")("onsets")
    assert found["clicks"] == pytest.approx(CLICKS, abs=0.015)
    assert found["stereo"] == found["clicks"]
    for steady in ("44.1 kHz", "silence", "short"):
        assert found[steady] == [], steady
    assert len(found["tone"]) <= 1  # its beginning may be one


def test_onsets_and_motion_stand_where_they_happen(inside: Inside) -> None:
    got = inside("plot")("drawn")
    assert got["shape"] == [1, 474, 1280, 3]
    assert got["range"] == [True, True]
    red = [time for time in got["red"] if time > 0]
    firsts = [time for time, before in zip(red, [-1.0, *red], strict=False) if time - before > 0.05]
    assert firsts == pytest.approx([time + 0.5 for time in CLICKS], abs=0.02)
    assert got["flash"] == pytest.approx(2, abs=0.06)


def test_without_a_picture_its_features_tell_the_motion(inside: Inside) -> None:
    got = inside("plot")("features_alone")
    assert got["shape"] == [1, 12 + 72 + 10 + 96 + 10 + 120 + 10 + 30, 1280, 3]
    assert got["flash"] == pytest.approx(0.5 + 37 / 25, abs=0.03)
    assert got["early flash"] == pytest.approx(37 / 25 - 1, abs=0.03)


def test_sound_that_starts_before_the_picture(inside: Inside) -> None:
    got = inside("plot")("sound_before_the_picture")
    red = got["red"]
    firsts = [time for time, before in zip(red, [-1.0, *red], strict=False) if time - before > 0.05]
    assert firsts == pytest.approx([time - 0.6 for time in CLICKS[1:]], abs=0.02)
    assert got["flash"] == pytest.approx(2, abs=0.06)


def test_sound_alone(inside: Inside) -> None:
    _, height, width, _ = inside("plot")("sound_alone")
    assert (height, width) == (12 + 96 + 10 + 120 + 10 + 30, 1280)


def test_a_take_that_is_not_there(inside: Inside) -> None:
    assert "got take 1 of 1 takes" in inside("plot")("a_take_that_is_not_there")
