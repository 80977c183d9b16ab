"""The order of takes, from the scores of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from .types import TakeScores

_DESYNC_SCALE = 0.5  # s; a chance level of about 1 s is then worth 0.14
_OFFSET_SCALE = 0.2  # s; the step of Synchformer's grid, and about where an offset is noticed
_AGREEMENT_SCALE = 0.1
_CLIPPING_SCALE = 0.001  # of the samples: a click every 23 ms at 44.1 kHz


@dataclass(frozen=True, kw_only=True)
class ScoreWeights:
    """How much each score counts in the total; a score of weight 0 is not measured at all."""

    sync: float = 1.0
    agreement: float = 0.5
    onsets: float = 0.5
    voice: float = 0.5
    silence: float = 0.5
    clipping: float = 0.25

    def asked(self) -> dict[str, float]:
        """The weights above 0, by name."""
        return {name: weight for name, weight in asdict(self).items() if weight > 0}


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The order of takes.

    Attributes:
        order: indices of the takes, best first; equally good ones stay in their order.
        totals: in [0, 1], for each take in the order they were given; None if nothing that counts
            was measured of any take.
    """

    order: tuple[int, ...]
    totals: tuple[float | None, ...]


def rank(scores: Sequence[TakeScores], weights: ScoreWeights) -> Ranking:
    """Rank takes by the weighted mean of their goodness.

    A score that no take has does not count. A take that lacks a score which others have counts as
    the worst of them: no take wins because what is bad about it was not measured. A take that is
    all silent is worth 0 if silence counts, for nothing else can be said of it.
    """
    sums, total_weight = [0.0] * len(scores), 0.0
    for name, weight in weights.asked().items():
        values = [_GOODNESS[name](one) for one in scores]
        measured = [value for value in values if value is not None]
        if not measured:
            continue
        total_weight += weight
        for take, value in enumerate(values):
            sums[take] += weight * (min(measured) if value is None else value)
    if not total_weight:
        return Ranking(order=tuple(range(len(scores))), totals=(None,) * len(scores))
    totals = tuple(
        0.0 if weights.silence and one.silence == 1 else value / total_weight
        for one, value in zip(scores, sums, strict=True)
    )
    order = sorted(range(len(scores)), key=lambda take: -totals[take])  # stable
    return Ranking(order=tuple(order), totals=totals)


def goodness(scores: TakeScores) -> dict[str, float | None]:
    """What each weighted score is worth, in [0, 1]; None where it was not measured.

    The maps do not depend on other takes:

    - ``sync``: exp(-desync / 0.5 s)
    - ``agreement``: 1 - exp(-agreement / 0.1), 0 below 0
    - ``onsets``: onset_match, 0 below 0, times exp(-abs(onset_offset) / 0.2 s)
    - ``voice``: 1 - voice
    - ``silence``: 1 up to half of the take, then down to 0 for a take that is all silent
    - ``clipping``: exp(-clipping / 0.001)
    """
    return {name: worth(scores) for name, worth in _GOODNESS.items()}


def _sync(scores: TakeScores) -> float | None:
    return None if scores.desync is None else math.exp(-scores.desync / _DESYNC_SCALE)


def _agreement(scores: TakeScores) -> float | None:
    if scores.agreement is None:
        return None
    return 1 - math.exp(-max(0.0, scores.agreement) / _AGREEMENT_SCALE)


def _onsets(scores: TakeScores) -> float | None:
    if scores.onset_match is None or scores.onset_offset is None:
        return None
    return max(0.0, scores.onset_match) * math.exp(-abs(scores.onset_offset) / _OFFSET_SCALE)


def _voice(scores: TakeScores) -> float | None:
    return None if scores.voice is None else 1 - scores.voice


def _silence(scores: TakeScores) -> float | None:
    return None if scores.silence is None else min(1.0, 2 * (1 - scores.silence))


def _clipping(scores: TakeScores) -> float | None:
    return None if scores.clipping is None else math.exp(-scores.clipping / _CLIPPING_SCALE)


_GOODNESS: dict[str, Callable[[TakeScores], float | None]] = {
    "sync": _sync,
    "agreement": _agreement,
    "onsets": _onsets,
    "voice": _voice,
    "silence": _silence,
    "clipping": _clipping,
}
"""What each weighted score is worth, in [0, 1]; see ``goodness``."""
