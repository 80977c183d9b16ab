"""Takes: what travels with the sound, what the panel is told, and which files it plays."""

from __future__ import annotations

import pytest

from .conftest import Inside


def test_the_chosen_take_is_passed_on_with_its_seed(inside: Inside) -> None:
    got = inside("takes")("the_chosen_take_is_passed_on")
    assert got["same"]
    assert got["seeds"] == [8]
    data = got["data"]
    assert [take["seed"] for take in data["takes"]] == [str(2**63), "8", "9"]
    assert (data["duration"], data["take"], data["count"]) == (1, 1, 3)
    assert (data["cuts"], data["video"]) == ([0.5], None)


def test_notes_may_be_missing_or_broken(inside: Inside) -> None:
    cases = inside("takes")
    assert cases("without_notes") == [["file", "loudness", "peak_db", "peaks"]] * 3
    assert cases("broken_notes_are_left_out") == [{}] * 5
    assert cases("notes_of_one") == [[9], {}, [2**63, 8, 9]]


def test_a_take_that_is_not_there(inside: Inside) -> None:
    assert "got take 3 of 3 takes" in inside("takes")("a_take_that_is_not_there")


def test_files_are_written_once(inside: Inside) -> None:
    assert inside("takes")("files_are_written_once") == {"new": 2, "again": 0}


def test_what_is_played_is_the_sound(inside: Inside) -> None:
    length, error = inside("takes")("what_is_played_is_the_sound")
    assert length == 16_000
    assert error < 2**-22


def test_peaks(inside: Inside) -> None:
    count, first, last, short = inside("takes")("peaks")
    assert count == 1600
    assert first == [0, 0, 0, 127]  # ten samples a stretch: sample 15 is in the second
    assert last == [-64, 0]
    assert short == [64, 64, -127, -127]


def test_loudness(inside: Inside) -> None:
    (loud, peak), (quiet, _), (silent, no_peak) = inside("takes")("loudness_and_silence")
    assert loud - quiet == pytest.approx(20, abs=0.1)
    assert peak == pytest.approx(-6.02, abs=0.05)
    assert (silent, no_peak) == (None, None)


def test_pictures_are_shown_from_where_they_are_or_copied(inside: Inside) -> None:
    got = inside("takes")("pictures")
    assert got["same"] == {"own": True, "elsewhere": True, "link": True}
    assert got["files"]["own"] == ["input", "sub"]
    assert got["files"]["elsewhere"] == got["files"]["link"] == ["temp", "mmaudio-takes"]
    assert (got["start"], got["memory"]) == (1.5, 25)


def test_the_oldest_files_go_first(inside: Inside) -> None:
    assert inside("takes")("at_most_a_gigabyte") == [True, True]


def test_a_panel_that_cannot_be_shown_takes_no_result(inside: Inside) -> None:
    shown, shape = inside("takes")("a_folder_that_cannot_be_written_takes_no_result")
    assert shown == {"mmaudio_takes": [], "text": []} and shape == [1, 1, 16_000]
