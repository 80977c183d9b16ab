"""best_of and no_voice of MMAudioSampler: which takes are sampled, kept, and sampled again."""

from __future__ import annotations

from typing import Any

import pytest

from mmaudio_core.scoring.types import SCORES

from .conftest import Inside

SAME = 1e-4


@pytest.fixture
def found(inside: Inside) -> Any:
    return inside("best_takes")


def test_the_best_of_single_runs_are_kept(found: Any) -> None:
    got = found("the_best_of_single_runs")
    assert got["kept"] == got["expected"]
    assert max(got["errors"]) < SAME
    assert [one["desync"] for one in got["scores"]] == pytest.approx(got["powers"], rel=1e-3)
    totals = [one["total"] for one in got["scores"]]
    assert totals == sorted(totals, reverse=True)
    (told,) = got["told"]
    for seed, total in zip(got["kept"], totals, strict=True):
        assert f"seed {seed} (total {total:.2f})" in told
    assert "of 4 takes" in told


def test_the_size_of_batches_changes_nothing(found: Any) -> None:
    got = found("batches_change_nothing")
    assert [rows for rows, _, _ in got.values()] == [[1] * 4, [3, 1], [4]]
    assert len({tuple(seeds) for _, seeds, _ in got.values()}) == 1
    assert all(sound == seeds for _, seeds, sound in got.values())


def test_seeds_beyond_the_highest_begin_at_0(found: Any) -> None:
    got = found("beyond_the_highest_seed")
    assert sorted(got["seeds"]) == [0, 1, 2**64 - 1]
    assert max(got["errors"]) < SAME
    assert all(f"seed {seed} (" in got["told"][0] for seed in got["seeds"])
    assert got["retry"] == 3


def test_with_samplers_that_draw_noise_each_take_is_a_single_run(found: Any) -> None:
    alone, in_a_batch = found("samplers_that_draw_noise")
    assert max(alone) < SAME
    assert in_a_batch > 0.01


def test_as_many_takes_at_once_as_memory_holds(found: Any) -> None:
    assert found("what_fits_into_memory") == {"0.2": 1, "1.0": 1, "3.5": 3, "100.0": 16}


def test_the_judges_of_the_pack(found: Any) -> None:
    """Two seconds are too short for the head; what it does not measure is told."""
    got = found("the_judges_of_the_pack")
    assert set(got["scores"]) == {*SCORES, "total"}
    assert isinstance(got["scores"]["agreement"], float)
    assert got["scores"]["desync"] is None
    assert any(text.startswith("Not measured: desync") for text in got["told"])
    assert "scores" not in got["plain"]


def test_a_latent_has_one_take_or_as_many_as_are_sampled(found: Any) -> None:
    got = found("a_latent_for_each_take")
    assert max(got["errors"]) < SAME
    assert "got a latent of 3 takes for best_of 2. Set best_of to 3" in got["message"]


def test_a_take_with_a_voice_gets_other_seeds(found: Any) -> None:
    got = found("another_seed")
    assert got["runs"] == [[10, 11], [12], [14]]
    assert got["seeds"] == got["sound"] == [14, 11]
    tried = [{"seed": 10, "voice": 0.5}, {"seed": 12, "voice": 0.2}, {"seed": 14, "voice": 0.0}]
    assert got["voices"][0] == {"tried": tried, "remade": [], "left": []}
    assert got["voices"][1] == {"tried": [{"seed": 11, "voice": 0.0}], "remade": [], "left": []}
    assert got["of_take_1"] == got["voices"][1:]
    assert [one["voice"] for one in got["scores"]] == [0.0, 0.0]
    assert got["told"] == [
        "no_voice, take 0: voice 50% with seed 10, 20% with seed 12, none with seed 14; kept seed "
        "14."
    ]


def test_then_only_the_voice_is_made_anew(found: Any) -> None:
    got = found("a_part_made_anew")
    assert got["runs"] == [[10, 11], [12], [14], [16]]
    assert got["seeds"] == [12, 11]
    assert got["sound"] == [None, 11]
    assert got["strengths"] == [[6.75, 2.25]]
    assert got["outside"] < SAME
    assert got["inside"] > 0.05
    assert got["voices"][0]["remade"] == [[0.5, 1.0]]
    assert got["voices"][0]["left"] == []
    (told,) = got["told"]
    assert "kept seed 12; 0.5-1.0 s made anew with seed 16: none." in told


def test_what_is_no_better_is_not_kept_and_what_is_left_is_told(found: Any) -> None:
    got = found("a_part_that_is_no_better")
    assert got["runs"] == [[10], [11], [12], [13]]
    assert got["seeds"] == got["sound"] == [11]
    assert got["voices"][0]["remade"] == []
    assert got["voices"][0]["left"] == [[0.5, 1.0]]
    assert got["scores"][0]["voice"] == 0.2
    (told,) = got["told"]
    assert told.endswith("no less, not kept. A voice is left at 0.5-1.0 s.")


def test_without_retries_the_voice_is_made_anew_at_once(found: Any) -> None:
    got = found("without_retries")
    assert got["runs"] == [[10], [11]]
    assert got["seeds"] == [10]
    assert got["sound"] == [None]


def test_takes_with_voices_rank_last(found: Any) -> None:
    got = found("voices_rank_last")
    assert got["runs"] == [[10, 11, 12]]
    assert got["seeds"] == got["sound"] == got["order"][1:2]


def test_only_the_kept_are_tried_again(found: Any) -> None:
    got = found("only_the_kept_are_tried_again")
    assert got["runs"] == [[10, 11, 12], [seed + 3 for seed in got["order"][:2]]]
    assert got["seeds"] == got["sound"] == got["retried"]
    assert [one["desync"] for one in got["scores"]] == pytest.approx(got["powers"], rel=1e-3)
    assert got["counts"] == [3, 2]


def test_what_is_not_sampled_is_not_tried_again(found: Any) -> None:
    for name, cause in (("what_is_kept_cannot_speak_less", 1), ("nothing_is_sampled", 1)):
        got = found(name)
        assert len(got["runs"]) == cause, name
        assert "A voice is left at 0.5-1.0 s" in got["told"][0], name


def test_an_interrupt_ends_the_search_for_voices(found: Any) -> None:
    assert found("an_interrupt_between_takes") == ["interrupted", [10]]


def test_without_a_detector_nothing_is_sampled(found: Any) -> None:
    message, runs = found("without_a_detector")
    assert message.startswith("got no_voice, but voices cannot be found: install silero-vad")
    assert message.endswith("or turn off no_voice.")
    assert runs == []


def test_the_detector_hears_speech_and_not_noise(found: Any) -> None:
    got = found("the_detector_itself")
    assert got["seeds"] == [11]
    (history,) = got["voices"]
    assert history["tried"][0]["voice"] > 0.3
    assert history["tried"][1]["voice"] == 0.0


def test_seeds_of_retries_are_those_of_no_other_take(found: Any) -> None:
    assert found("seeds_of_retries") == list(range(100, 112))
