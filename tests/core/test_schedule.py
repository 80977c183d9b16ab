"""Prompts over time: how they are written, where they fade, and what each part of a sound hears."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from mmaudio_core.config import FORMAT_16K, sequence_lengths
from mmaudio_core.errors import MMAudioError, Problem
from mmaudio_core.features.prompt_schedule import (
    Crossfade,
    ScheduleEntry,
    parse_schedule,
    plan_crossfades,
    prompt_weights,
)
from mmaudio_core.features.text import schedule_prompts
from mmaudio_core.features.types import Features
from mmaudio_core.features.visual import TimeRange
from mmaudio_core.pipeline import extract_features
from mmaudio_core.sampling.sample import sample
from mmaudio_core.sampling.windows import WindowParams, plan_windows
from tests.core.small import MemoryNetworks
from tests.golden_files import relative_error

NETWORKS = MemoryNetworks()
RATE = 31.25  # latents a second at 16 kHz


def section(start: str, end: str, prompt: str | None = None, negative: str | None = None):
    return ScheduleEntry(start=Fraction(start), end=Fraction(end), prompt=prompt, negative=negative)


def parsed(schedule: str, duration: str = "9") -> list[ScheduleEntry]:
    return list(parse_schedule(schedule, Fraction(duration)))


def text_features(prompt: str = "sea", negative: str = "", seconds: str = "4") -> Features:
    return extract_features(NETWORKS, None, TimeRange(duration=Fraction(seconds)), prompt, negative)


def scheduled(features: Features, schedule: str, crossfade: str = "0") -> Features:
    return schedule_prompts(NETWORKS, features, schedule, Fraction(crossfade))


def one_step(features: Features) -> Tensor:
    """(N, C): noise and one velocity, so that what is blended can be told exactly."""
    return sample(NETWORKS, features, [1], steps=1)[0]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0-4: rain | 4-9: thunder", [section("0", "4", "rain"), section("4", "9", "thunder")]),
        ("0-4:rain|4-:thunder", [section("0", "4", "rain"), section("4", "9", "thunder")]),
        (
            " 0 - 4.5 : rain \n\n4.25-9: wind",
            [section("0", "4.5", "rain"), section("4.25", "9", "wind")],
        ),
        (
            "0:00-0:04: 5 dogs | 0:04-0:09.0: x",
            [section("0", "4", "5 dogs"), section("4", "9", "x")],
        ),
        ("0-4:5 dogs | 4-9:", [section("0", "4", "5 dogs"), section("4", "9", "")]),
        ("0-99: rain", [section("0", "9", "rain")]),
        ("2-3: bark", [section("0", "2"), section("2", "3", "bark"), section("3", "9")]),
        (
            "0-4: rain --no music, speech | 4-9: a --nose --no",
            [section("0", "4", "rain", "music, speech"), section("4", "9", "a --nose", "")],
        ),
        ("0-9: 7-8: both", [section("0", "9", "7-8: both")]),
    ],
)
def test_reading(schedule: str, expected: list[ScheduleEntry]) -> None:
    assert parsed(schedule) == expected


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("", "got an empty schedule, expected times and prompts, such as 0-4: rain"),
        (" | \n", "got an empty schedule, expected times and prompts, such as 0-4: rain"),
        ("rain", 'schedule, column 1: got "rain", expected "start-end: prompt", such as 0-4'),
        ("0-4: rain |  four-9: thunder", 'schedule, column 14: got "four-9: thunder", expected'),
        ("0-4: rain\n4-9 thunder", 'schedule, line 2, column 1: got "4-9 thunder", expected'),
        ("0-4: rain | -2-9: thunder", 'column 13: got "-2-9: thunder", expected'),
        ("0-1:75: rain | 1:80-2", 'column 16: got "1:80-2", expected'),
        ("4-4: rain", "column 1: got 4 s to 4 s, expected an end after the start"),
        ("0-4: rain | 9-12: late", "column 13: got a start at 9 s, expected .* audio at 9 s"),
        ("4-9: rain | 0-4: wind", "column 13: got 0 s to 4 s after 4 s to 9 s, expected starts"),
        ("0-9: rain | 4-5: wind", "column 13: got 4 s to 5 s after 0 s to 9 s, expected starts"),
        ("0-5: a | 4-8: b | 4.5-9: c", "column 19: got a third prompt at 4.5 s.* start it at 5 s"),
        ("0-5: a --no b --no c", "column 1: got 2 times --no, expected it at most once"),
    ],
)
def test_invalid_schedules_are_refused_with_their_location(schedule: str, message: str) -> None:
    with pytest.raises(MMAudioError, match=message) as error:
        parsed(schedule)
    assert error.value.problem is Problem.SCHEDULE


@pytest.mark.parametrize(
    ("schedule", "crossfade", "expected"),
    [
        ("0-4: a | 4-9: b", "0.5", [("3.75", "4.25")]),
        ("0-4: a | 4-9: b", "0", [("4", "4")]),
        ("0-5: a | 4-9: b", "0.5", [("4", "5")]),  # as long as they overlap
        ("0-4.1: a | 4-9: b", "0.5", [("3.8", "4.3")]),
        ("4-4.2: a", "0.5", [("3.9", "4.1"), ("4.1", "4.3")]),  # never longer than what it is for
    ],
)
def test_fading(schedule: str, crossfade: str, expected: list[tuple[str, str]]) -> None:
    got = plan_crossfades(parsed(schedule), Fraction(crossfade))
    assert list(got) == [Crossfade(Fraction(a), Fraction(b)) for a, b in expected]


def test_each_latent_is_shared_out_whole() -> None:
    changes = (Crossfade(Fraction(1), Fraction(2)), Crossfade(Fraction("1.5"), Fraction(3)))
    got = prompt_weights(changes, 125, FORMAT_16K)
    assert got.shape == (3, 125)
    assert bool((got >= 0).all())
    torch.testing.assert_close(got.sum(dim=0), torch.ones(125))
    assert got[0, : int(RATE)].eq(1).all() and got[2, int(3 * RATE) + 1 :].eq(1).all()
    assert got[0, round(1.5 * RATE)].item() == pytest.approx(0.5, abs=0.03)


def test_a_prompt_has_the_latents_whose_centers_lie_in_it() -> None:
    switch = Fraction(10 * 32, 1000)  # a latent is 32 ms
    got = prompt_weights((Crossfade(switch, switch),), 125, FORMAT_16K)
    assert got[0].tolist() == [1.0] * 10 + [0.0] * 115


@pytest.mark.parametrize("seconds", ["4", "20"])
def test_the_same_prompt_throughout_changes_nothing(seconds: str) -> None:
    plain = text_features("sea", "music", seconds)
    same = scheduled(plain, "0-2: sea | 2-3: sea --no music", "0.3")
    assert len(same.text) == 3
    assert relative_error(one_step(same), one_step(plain)) < 1e-5


@pytest.mark.parametrize("seconds", ["4", "20"])
def test_each_part_hears_its_prompt_and_its_negative(seconds: str) -> None:
    got = one_step(scheduled(text_features(seconds=seconds), "0-2: rain | 2-3: wind --no rain"))
    parts = {
        (0, 2): text_features("rain", "", seconds),
        (2, 3): text_features("wind", "rain", seconds),
        (3, int(seconds)): text_features("sea", "", seconds),
    }
    whole = {span: one_step(features) for span, features in parts.items()}
    for (start, end), expected in whole.items():
        some = slice(round(start * RATE) + 1, round(end * RATE) - 1)
        assert relative_error(got[some], expected[some]) < 1e-5
        others = [x for span, x in whole.items() if span != (start, end)]
        assert min(relative_error(got[some], x[some]) for x in others) > 1e-3


def test_between_two_prompts_there_are_both() -> None:
    plain = text_features()
    got = one_step(scheduled(plain, "0-3: rain | 1-4: wind"))
    rain, wind = (one_step(text_features(words)) for words in ("rain", "wind"))
    middle = round(2 * RATE)
    assert relative_error(got[middle], (rain[middle] + wind[middle]) / 2) < 0.02
    assert relative_error(got[middle], rain[middle]) > 1e-3


def test_only_windows_in_which_a_prompt_is_heard_run_with_it() -> None:
    duration = Fraction(60)
    lengths = sequence_lengths(duration, FORMAT_16K)
    arguments = lengths, duration, FORMAT_16K, WindowParams(), ()
    plain = plan_windows(*arguments)
    changes = plan_crossfades(parsed("0-20: a | 20-40: b | 40-60: c", "60"), Fraction(1, 2))
    plan = plan_windows(*arguments, changes)
    assert plain is not None and plan is not None
    assert len(plan.windows) <= len(plain.windows) + 4  # a border is in two windows at most
    ones = torch.ones(1, len(plan.windows), plan.lengths.latent, 1)
    torch.testing.assert_close(plan.join(ones, lengths.latent), torch.ones(1, lengths.latent, 1))


def test_features_with_a_schedule_take_no_other() -> None:
    once = scheduled(text_features(), "0-2: rain")
    with pytest.raises(MMAudioError, match=r"got features with a schedule of 2 prompts") as error:
        scheduled(once, "0-2: wind")
    assert error.value.problem is Problem.SCHEDULED_TWICE
