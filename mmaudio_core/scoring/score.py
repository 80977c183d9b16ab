"""All scores of all takes: runs the judges that are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from ..audio.waveform import check_finite_samples
from ..config import exact_samples
from ..features.types import Features
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from .rank import ScoreWeights
from .types import SCORES, TakeScores
from .voice import find_voice

NOT_ASKED = "its weight is 0"
"""Why a score was not measured if nobody asked for it."""
STAGES: dict[str, float] = {}
"""Stages that ``score_takes`` reports, and how long they last relative to each other."""


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
    nothing = TakeScores(unmeasured=dict.fromkeys(SCORES, NOT_ASKED))
    scores = [nothing] * len(waveforms)
    for name, judge in _JUDGES.items():
        if name in weights.asked():
            scores = [_merge(*pair) for pair in zip(scores, judge(job), strict=True)]
    return scores


def _merge(scores: TakeScores, more: TakeScores) -> TakeScores:
    """What was measured by either, the reasons of ``more`` before the others."""
    found = {name: value for name, value in more.values().items() if value is not None}
    reasons = {**scores.unmeasured, **more.unmeasured}
    return replace(
        scores,
        **found,
        unmeasured={name: reason for name, reason in reasons.items() if name not in found},
        sync_offsets=scores.sync_offsets or more.sync_offsets,
        onset_offsets=scores.onset_offsets or more.onset_offsets,
    )


def _voice(job: _Job) -> list[TakeScores]:
    found = [find_voice(waveform, job.sample_rate) for waveform in job.waveforms]
    return [
        TakeScores(
            voice=one.share, unmeasured={} if one.share is not None else {"voice": one.reason}
        )
        for one in found
    ]


_JUDGES: dict[str, Callable[[_Job], list[TakeScores]]] = {"voice": _voice}
"""By the names of ``ScoreWeights``; each fills in its own scores of each take."""
