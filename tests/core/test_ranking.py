"""The order of takes."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest

from mmaudio_core.scoring.rank import ScoreWeights, goodness, rank
from mmaudio_core.scoring.types import TakeScores

EVEN = ScoreWeights(sync=1, agreement=1, onsets=1, voice=1, silence=1, clipping=1)
ONLY = {
    name: ScoreWeights(**{**dict.fromkeys(asdict(EVEN), 0.0), name: 1.0}) for name in asdict(EVEN)
}
BEST = TakeScores(
    desync=0.0,
    agreement=math.inf,
    onset_match=1.0,
    onset_offset=0.0,
    voice=0.0,
    silence=0.2,
    clipping=0.0,
)


def test_what_scores_are_worth() -> None:
    assert set(goodness(BEST).values()) == {1.0}
    half = TakeScores(
        desync=0.5 * math.log(2),
        agreement=0.1 * math.log(2),
        onset_match=0.8,
        onset_offset=-0.2 * math.log(1.6),
        voice=0.5,
        silence=0.75,
        clipping=0.001 * math.log(2),
    )
    assert goodness(half) == pytest.approx(dict.fromkeys(asdict(EVEN), 0.5))
    worst = TakeScores(agreement=-0.3, onset_match=-0.5, onset_offset=0.0, voice=1.0, silence=1.0)
    measured = {"agreement": 0, "onsets": 0, "voice": 0, "silence": 0}
    assert goodness(worst) == {"sync": None, "clipping": None, **measured}


@pytest.mark.parametrize(
    ("name", "worse"),
    [
        ("sync", TakeScores(desync=0.4)),
        ("agreement", TakeScores(agreement=0.01)),
        ("onsets", TakeScores(onset_match=1.0, onset_offset=0.3)),
        ("onsets", TakeScores(onset_match=1.0, onset_offset=-0.3)),
        ("onsets", TakeScores(onset_match=0.4, onset_offset=0.0)),
        ("voice", TakeScores(voice=0.2)),
        ("silence", TakeScores(silence=0.9)),
        ("clipping", TakeScores(clipping=0.01)),
    ],
)
def test_better_takes_come_first(name: str, worse: TakeScores) -> None:
    ranking = rank([worse, BEST], ONLY[name])
    assert ranking.order == (1, 0)
    assert ranking.totals[1] == 1
    assert rank([worse], ONLY[name]).totals == ranking.totals[:1]  # whatever the others are


def test_total_is_the_weighted_mean_of_what_was_measured() -> None:
    take = TakeScores(voice=0.5, silence=0.0)
    weights = ScoreWeights(sync=7, voice=3, silence=1)
    assert rank([take], weights).totals == pytest.approx(((3 * 0.5 + 1 * 1) / 4,))


def test_equal_takes_keep_their_order() -> None:
    takes = [TakeScores(voice=voice) for voice in (0.5, 0.0, 0.5, 0.0, 0.5)]
    assert rank(takes, EVEN).order == (1, 3, 0, 2, 4)


def test_nothing_measured() -> None:
    ranking = rank([TakeScores(), TakeScores()], EVEN)
    assert ranking.order == (0, 1)
    assert ranking.totals == (None, None)
    assert rank([TakeScores(voice=1.0), TakeScores(voice=0.0)], ONLY["sync"]).order == (0, 1)
    assert rank([], EVEN).order == ()


def test_a_take_does_not_win_by_what_was_not_measured() -> None:
    """It counts as the worst of those that were; those stay in the order of all their scores."""
    good = TakeScores(silence=0.0, onset_match=0.9, onset_offset=0.0)
    bad = TakeScores(silence=0.0, onset_match=0.1, onset_offset=0.0)
    unknown = TakeScores(silence=0.0)
    assert rank([unknown, bad, good], EVEN).order == (2, 0, 1)
    assert rank([bad, unknown, good], EVEN).order == (2, 0, 1)  # as good as the worst: in order
    totals = rank([unknown, bad], EVEN).totals
    assert totals[0] == totals[1]


def test_a_silent_take_is_worth_nothing() -> None:
    """It has no voice and no clipped sample, which is nothing to its credit."""
    silent = TakeScores(silence=1.0, voice=0.0, clipping=0.0)
    loud = TakeScores(silence=0.0, voice=1.0, clipping=0.5)
    ranking = rank([silent, loud], EVEN)
    assert ranking.order == (1, 0)
    assert ranking.totals[0] == 0
    assert rank([silent], ONLY["voice"]).totals == (1.0,)  # it is not asked about
