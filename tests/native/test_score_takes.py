"""MMAudioScoreTakes: what it is given, what it puts first and what it says."""

from __future__ import annotations

import re

import pytest

from .conftest import Inside

TOO_SHORT = "the sound is 2.00 s long, expected at least 4.8 s"
SILENT = "the sound is silent"
NUMBER = re.compile(r"\d+(?:\.\d+)?")
START = "set start_offset of Mux Audio and Video to"


def test_the_best_comes_first_and_takes_its_notes_along(inside: Inside) -> None:
    got = inside("score_takes")("order")
    assert got["order"] == [3, 1, 2, 0]
    assert (got["best"], got["rate"], got["same"]) == (3, 16_000, True)
    assert got["totals"] == [1, pytest.approx(0.7), pytest.approx(0.5), 0]
    assert got["seeds"] == ["8", "6", "7", str(2**63)]
    notes = got["notes"]
    assert (notes["seeds"], notes["cuts"]) == ([8, 6, 7, 2**63], [0.5])
    assert notes["voices"] == [6, 8, 7, 9]
    assert [one["total"] for one in notes["scores"]] == got["totals"]
    assert [one["silence"] for one in notes["scores"]] == [0, 0.8, 0, 1]
    assert notes["scores"][3]["loudness"] is notes["scores"][3]["desync"] is None
    assert got["plot"] == [1, 12 + 16 + 10 + 4 * (72 + 10) + 30, 1280, 3]
    assert got["notices"] == []
    assert got["report"] == [
        "1. take 3 (seed 8): total 1.000, silent 0%, clipped 0.00%, -17.3 LUFS",
        "2. take 1 (seed 6): total 0.700, silent 80%, clipped 0.00%, -18.1 LUFS",
        "3. take 2 (seed 7): total 0.500, silent 0%, clipped 90.22%, 2.4 LUFS",
        f"4. take 0 (seed {2**63}): total 0.000, silent 100%, clipped 0.00%",
        "Not measured: loudness of take 0: the sound is silent, below -70 LUFS.",
    ]


def test_nothing_asked(inside: Inside) -> None:
    got = inside("score_takes")("nothing_asked")
    assert (got["best"], got["totals"], got["loaded"]) == (0, [None, None], [])
    assert got["report"] == [f"{n + 1}. take {n}: no score, -17.3 LUFS" for n in (0, 1)]


def test_a_network_is_loaded_only_for_its_judge(inside: Inside) -> None:
    got = inside("score_takes")("networks")
    assert {name: one["loaded"] for name, one in got.items()} == {
        "onsets": [],
        "sync": ["sync_head"],
        "agreement": ["flow", "vae"],
    }
    for name, one in got.items():
        for take in one["scores"]:
            assert (take["desync"] is not None) == (name == "sync"), take
            assert (take["agreement"] is not None) == (name == "agreement"), take
            assert len(take["sync_offsets"]) == (name == "sync")


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        ("44.1 kHz stereo", ["1. take 0: total 0.", "desync 1.60 s, voice 0%", "-13.9 LUFS"]),
        ("6 channels", ["1. take 0: total 0.", "desync 1.60 s, voice 0%"]),
        ("longer", ["7.00 s long and the features 5.00 s: the first 5.00 s were scored"]),
        ("shorter", [f"desync, sync_offset: {TOO_SHORT}", "the first 2.00 s were scored"]),
        ("one sample", ["1. take 0", "2. take 1", "0.00 s long, expected at least 4.8 s"]),
        ("silent", ["1. take 0: total 0.000", "2. take 1: total 0.000", "told: synchr", SILENT]),
        ("None", ["error: got no sound", "Connect the audio of MMAudio Sampler"]),
        ("NaN", ["error: got audio with 1 of 80000 samples NaN", "find the node that made them"]),
        ("of text", ["no video to compare with", "there is no video that moves"]),
        ("100 takes", ["100. take 99"]),
    ],
)
def test_any_sound(inside: Inside, sound: str, words: list[str]) -> None:
    told = inside("score_takes")("any_sound")[sound]
    assert [word for word in words if word not in told] == [], told


def test_no_advice_on_one_opinion(inside: Inside) -> None:
    """Of a head that always names an offset, and a picture without motion."""
    told = inside("score_takes")("any_sound")["44.1 kHz stereo"]
    assert "cannot be told: the synchronisation head says" in told
    assert START not in told


@pytest.mark.parametrize(
    ("sound", "words", "numbers"),
    [
        ("right", "The sound is in sync, to # ms, by the onsets.", (40,)),
        ("late", f"The sound is # ms late, by the onsets: {START} -#.", (240, 0.24)),
        ("early", f"The sound is # ms early, by the onsets: {START} #.", (240, 0.24)),
        (
            "slow",
            "The sound drifts by +# ms per minute: it is # ms late at the start and # ms late at "
            "the end, by the onsets. Moving it does not mend that: it is #% too long.",
            (600, 20, 320, 1),
        ),
        (
            "fast",
            "The sound drifts by -# ms per minute: it is # ms late at the start and # ms late at "
            "the end, by the onsets. Moving it does not mend that: it is #% too short.",
            (600, 500, 200, 1),
        ),
    ],
)
def test_advice(inside: Inside, sound: str, words: str, numbers: tuple[float, ...]) -> None:
    got = inside("score_takes")("advice")[sound]
    assert NUMBER.sub("#", got["report"]) == words
    for told, wanted in zip(NUMBER.findall(got["report"]), numbers, strict=True):
        assert float(told) == pytest.approx(wanted, rel=0.05, abs=0.02 if wanted < 2 else 20)


def test_the_plot_shows_where_the_judge_found_it(inside: Inside) -> None:
    """Late is up, from the middle of the only lane; 0.5 s are 116 px."""
    for sound, got in inside("score_takes")("advice").items():
        row, column = got["red"]
        assert row == pytest.approx(38 + 120 - got["offset"] / 0.5 * 116, abs=1.5), sound
        assert column == pytest.approx(90 + 1178 * 15 / 30, abs=5), sound
