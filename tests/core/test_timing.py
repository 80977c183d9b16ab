"""What two judges make of a sound's offset."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmaudio_core.scoring.timing import ONSETS, SYNC, Timing, find_timing
from mmaudio_core.scoring.types import SCORES, Offsets, TakeScores

SECONDS = 26.4
TIMES = [2.4 * (number + 1) for number in range(10)]  # middles of windows


def over_time(*offsets: float) -> Offsets:
    return tuple(zip(TIMES, offsets, strict=False))


def head(*offsets: float) -> TakeScores:
    mean = sum(offsets) / len(offsets)
    return TakeScores(desync=abs(mean), sync_offset=mean, sync_offsets=over_time(*offsets))


def onsets(*offsets: float, match: float = 0.8) -> TakeScores:
    middle = sorted(offsets)[len(offsets) // 2]
    return TakeScores(onset_match=match, onset_offset=middle, onset_offsets=over_time(*offsets))


def both(first: TakeScores, second: TakeScores) -> TakeScores:
    return TakeScores(
        desync=first.desync,
        sync_offset=first.sync_offset,
        sync_offsets=first.sync_offsets,
        onset_match=second.onset_match,
        onset_offset=second.onset_offset,
        onset_offsets=second.onset_offsets,
    )


def known(scores: TakeScores, seconds: float = SECONDS) -> Timing:
    timing = find_timing(scores, seconds)
    assert isinstance(timing, Timing), timing
    return timing


def doubt(scores: TakeScores, seconds: float = SECONDS) -> str:
    timing = find_timing(scores, seconds)
    assert isinstance(timing, str), timing
    return timing


def test_offsets_over_time_are_no_scores() -> None:
    assert len(SCORES) == 9
    assert set(SCORES) == set(TakeScores().values())
    assert "sync_offsets" not in SCORES


def test_one_judge() -> None:
    assert known(head(0.2, 0.2, 0.2)).offset == 0.2
    assert known(onsets(-0.12), seconds=8).offset == -0.12
    assert known(head(0.2, 0.2, 0.4)).judges == (SYNC,)
    assert known(head(0.2, 0.2, 0.4)).offset == 0.2
    assert known(onsets(0.12)).offset == 0.12  # one clap, matching by 0.8
    assert known(onsets(0.11, 0.12, 1.7, 0.13, 0.12)).offset == 0.12  # an outlier moves nothing


def test_both_judges() -> None:
    timing = known(both(head(0.2), onsets(0.12)), seconds=8)
    assert (timing.offset, timing.judges) == (0.12, (SYNC, ONSETS))
    told = doubt(both(head(0.6), onsets(0.12)), seconds=8)
    assert "disagree" in told and "+0.60 s" in told and "+0.12 s" in told
    assert known(both(head(0.2, 0.2, 0.2), onsets(0.9, match=0.1))).offset == 0.2
    assert known(both(head(-2.0, 1.4, 0.2, 1.8), onsets(0.12)), seconds=8).offset == 0.12


def test_doubt() -> None:
    assert "match by 0.10, of 26.4 s at least 0.30" in doubt(onsets(0.12, match=0.1))
    assert "at least 0.50" in doubt(onsets(0.12, match=0.45), seconds=8)  # chance reaches that
    assert known(onsets(0.12, match=0.55), seconds=8).offset == 0.12
    assert "from -2.00 to +1.80" in doubt(head(-2.0, 1.4, 0.2, 1.8, -1.0))
    assert "by 0.60 on the whole, but not in half" in doubt(onsets(0.12, 0.12, match=0.6))
    told = doubt(both(head(0.2, 0.2), onsets(0.9, match=0.1)))  # it always names some offset
    assert "+0.20 s, from 2 of at least 3 windows" in told and "match by 0.10" in told
    told = doubt(TakeScores(unmeasured={"sync_offset": "too short", "onset_offset": "silent"}))
    assert "too short" in told and "silent" in told


@pytest.mark.parametrize("make", [head, onsets])
def test_drift(make: Callable[..., TakeScores]) -> None:
    """400 ms in 21.6 s, read off in frames of 25 a second, or in the head's steps."""
    step = 0.2 if make is head else 0.04
    wanted = [0.1 + 0.4 * number / 9 for number in range(10)]
    timing = known(make(*(step * round(value / step) for value in wanted)))
    assert timing.at(TIMES[0]) == pytest.approx(wanted[0], abs=0.11 if make is head else 0.03)
    assert timing.at(TIMES[-1]) == pytest.approx(wanted[-1], abs=0.11 if make is head else 0.03)
    assert timing.drift == pytest.approx(0.4 / 21.6, rel=0.2)


def test_drift_of_a_take_that_matches_only_within_windows() -> None:
    """A drift smears the match of the whole; by chance, only few windows match."""
    drifting = [0.04 * number for number in range(10)]
    assert known(onsets(*drifting, match=0.1)).drift == pytest.approx(0.04 / 2.4)
    assert "match by" in doubt(onsets(*drifting[:4], match=0.1))


def test_no_drift_is_made_of_noise() -> None:
    assert known(onsets(0.12, 0.16, 0.12, 0.08, 0.12, 0.12, 0.16, 0.12)).drift == 0
    assert known(head(0.2, 0.2, 0.2, 0.4, 0.2, 0.2, 0.2, 0.4)).drift == 0
    assert known(onsets(0.0, 0.1, 0.2), seconds=10).drift == 0  # 4.8 s apart: too short to tell
