"""All scores of all takes: runs the judges that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from ..audio.waveform import Audio, check_finite_samples
from ..codec.encode import ENCODER_STAGE, encode
from ..config import exact_samples
from ..features.types import Features
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from .agreement import AGREEMENT_STAGE, score_agreement
from .levels import measure_levels
from .motion_match import match_motion
from .rank import ScoreWeights
from .sync import SYNC_SCORE_STAGE, score_sync
from .types import SCORES, TakeScores
from .voice import find_voice

_MOST_MISSING = 0.1  # s at the end, of which agreement would take the silence for the take's
NOT_ASKED = "its weight is 0"
"""Why a score was not measured if nobody asked for it."""
ONSETS_STAGE, VOICE_STAGE = "onsets", "voices"
STAGES = {
    SYNC_SCORE_STAGE: 4.0,
    ENCODER_STAGE: 4.0,
    AGREEMENT_STAGE: 16.0,
    ONSETS_STAGE: 0.5,
    VOICE_STAGE: 1.0,
}
"""Stages that ``score_takes`` reports, and how long they last relative to each other."""


AgreementJudge = Callable[[Tensor], list[float]]
"""From latents (takes, N, latent_dim) on the VAE's scale to the agreement of each."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What the judges look at.

    Attributes:
        waveforms: (takes, C, T), no longer than the features.
        latents, judge_agreement: see ``score_takes``.
    """

    networks: ModelProvider
    features: Features
    waveforms: Tensor
    sample_rate: int
    latents: Tensor | None
    judge_agreement: AgreementJudge | None
    progress: Progress


def score_takes(
    networks: ModelProvider,
    features: Features,
    waveforms: Tensor,
    sample_rate: int,
    weights: ScoreWeights,
    *,
    latents: Tensor | None = None,
    judge_agreement: AgreementJudge | None = None,
    progress: Progress = no_progress,
) -> list[TakeScores]:
    """Measure what is asked for of every take; their sound may be of any origin.

    Args:
        networks: loaded only by the judges that need one.
        features: of the picture and prompt; sound and features begin together.
        waveforms: (takes, C, T); what is longer than the features is left out.
        sample_rate: in Hz, any.
        weights: a score of weight 0 is not measured.
        latents: of the takes, (takes, N, latent_dim) on the VAE's scale, if they are known; else
            agreement encodes the sound.
        judge_agreement: of a host with a flow network of its own; by default that of ``networks``.

    Raises:
        MediaError: a sample is not finite.
        MMAudioError: the features are not those of the networks.
        NumericsError: a network produced NaN or infinity.
    """
    check_finite_samples(waveforms)
    length = exact_samples(features.duration, sample_rate)
    job = _Job(
        networks=networks,
        features=features,
        waveforms=waveforms[..., :length],
        sample_rate=sample_rate,
        latents=latents,
        judge_agreement=judge_agreement,
        progress=progress,
    )
    nothing = TakeScores(unmeasured=dict.fromkeys(SCORES, NOT_ASKED))
    scores = [nothing] * len(waveforms)
    asked = weights.asked()
    judged = [judge(job) for name, judge in _JUDGES.items() if name in asked]
    for found in [*judged, _levels(job, asked)]:
        scores = [_merge(*pair) for pair in zip(scores, found, strict=True)]
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


def _sync(job: _Job) -> list[TakeScores]:
    sync = job.features.sync
    found = score_sync(job.networks, sync, job.waveforms, job.sample_rate, job.progress)
    return [
        TakeScores(
            desync=one.desync,
            sync_offset=one.sync_offset,
            sync_offsets=tuple(zip(one.times, one.offsets, strict=True)),
            unmeasured=_reasons(one.reason, "desync", "sync_offset"),
        )
        for one in found
    ]


def _agreement(job: _Job) -> list[TakeScores]:
    latents, seconds = job.latents, job.waveforms.shape[-1] / job.sample_rate
    if latents is None and seconds < float(job.features.duration) - _MOST_MISSING:
        reason = f"the sound ends after {seconds:.2f} of {float(job.features.duration):.2f} s"
        return [TakeScores(unmeasured=_reasons(reason, "agreement"))] * len(job.waveforms)
    if latents is None:
        audio = Audio(waveforms=job.waveforms, sample_rate=job.sample_rate)
        latents = encode(job.networks, audio, job.features.duration, job.progress)
    judge = job.judge_agreement or partial(
        score_agreement, job.networks, job.features, progress=job.progress
    )
    return [TakeScores(agreement=value) for value in judge(latents)]


def _onsets(job: _Job) -> list[TakeScores]:
    found = [
        match_motion(job.features.motion, waveform, job.sample_rate)
        for waveform in _one_by_one(job, ONSETS_STAGE)
    ]
    return [
        TakeScores(
            onset_match=one.match,
            onset_offset=one.offset,
            onset_offsets=one.offsets,
            unmeasured=_reasons(one.reason, "onset_match", "onset_offset"),
        )
        for one in found
    ]


def _voice(job: _Job) -> list[TakeScores]:
    found = [find_voice(one, job.sample_rate) for one in _one_by_one(job, VOICE_STAGE)]
    return [TakeScores(voice=one.share, unmeasured=_reasons(one.reason, "voice")) for one in found]


def _levels(job: _Job, asked: Collection[str]) -> list[TakeScores]:
    """They cost next to nothing, and the loudness is told always."""
    found = [measure_levels(waveform, job.sample_rate) for waveform in job.waveforms]
    return [
        TakeScores(
            silence=one.silence if "silence" in asked else None,
            clipping=one.clipping if "clipping" in asked else None,
            loudness=one.loudness,
            unmeasured=_reasons(one.reason, "loudness"),
        )
        for one in found
    ]


def _one_by_one(job: _Job, stage: str) -> Iterator[Tensor]:
    """The takes; between them, progress is reported."""
    total = len(job.waveforms)
    for number, waveform in enumerate(job.waveforms):
        job.progress(stage, number, total)
        yield waveform
    job.progress(stage, total, total)


def _reasons(reason: str | None, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, reason) if reason else {}


_JUDGES: dict[str, Callable[[_Job], list[TakeScores]]] = {
    "sync": _sync,
    "agreement": _agreement,
    "onsets": _onsets,
    "voice": _voice,
}
"""By the names of ``ScoreWeights``; each fills in its own scores of each take. Those that are
missing here are in ``_levels``."""
