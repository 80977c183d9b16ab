"""All scores of all takes: runs the judges that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ..audio.waveform import check_finite_samples
from ..config import exact_samples
from ..features.types import Features
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from .rank import ScoreWeights
from .types import SCORES, TakeScores

_NOT_ASKED = "its weight is 0"


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What the judges look at.

    Attributes:
        waveforms: (takes, C, T), no longer than the features.
    """

    networks: ModelProvider
    features: Features
    waveforms: Tensor
    sample_rate: int
    progress: Progress


_Found = Mapping[str, float | str]
"""Measurements of one take by their names in ``SCORES``; a text is why there is none."""
_JUDGES: dict[str, Callable[[_Job], list[_Found]]] = {}
"""By the names of ``ScoreWeights``; each returns what it found of each take."""


def score_takes(
    networks: ModelProvider,
    features: Features,
    waveforms: Tensor,
    sample_rate: int,
    weights: ScoreWeights,
    progress: Progress = no_progress,
) -> list[TakeScores]:
    """Measure what is asked for of every take; their sound may be of any origin.

    Args:
        networks: loaded only by the judges that need one.
        features: of the picture and prompt; sound and features begin together.
        waveforms: (takes, C, T); what is longer than the features is left out.
        sample_rate: in Hz, any.
        weights: a score of weight 0 is not measured.

    Raises:
        MediaError: a sample is not finite.
    """
    check_finite_samples(waveforms)
    length = exact_samples(features.duration, sample_rate)
    job = _Job(
        networks=networks,
        features=features,
        waveforms=waveforms[..., :length],
        sample_rate=sample_rate,
        progress=progress,
    )
    found: list[dict[str, float | str]] = [{} for _ in waveforms]
    for name, judge in _JUDGES.items():
        if name in weights.asked():
            for take, one in zip(found, judge(job), strict=True):
                take.update(one)
    return [_to_scores(one) for one in found]


def _to_scores(found: _Found) -> TakeScores:
    values = {name: value for name, value in found.items() if not isinstance(value, str)}
    reasons = {name: value for name, value in found.items() if isinstance(value, str)}
    missing = dict.fromkeys(SCORES, _NOT_ASKED)
    unmeasured = {name: reasons.get(name, missing[name]) for name in SCORES if name not in values}
    return TakeScores(**values, unmeasured=unmeasured)
