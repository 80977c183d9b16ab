"""The best takes: scored, in order, and without voices if that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..mmaudio_core.scoring.rank import Ranking, ScoreWeights, rank
from ..mmaudio_core.scoring.score import NOT_ASKED, score_takes
from ..mmaudio_core.scoring.types import SCORES, TakeScores
from ..mmaudio_core.scoring.voice import VoiceResult
from .agreement import agreement_judge
from .score_report import unmeasured
from .take_sampling import Takes, TakeSampler
from .voices import VoiceHistory, find_voices, remove_voices

_WEIGHTS = ScoreWeights()


@dataclass(frozen=True, kw_only=True)
class BestTakes:
    """Takes with all that is known of them.

    Attributes:
        takes: best first if they were ranked, else in the order of their seeds.
        scores: one per take; empty if nothing was measured.
        ranking: of the scores, in which each take is at its place; None without scores.
        histories: one per take; empty if voices were not looked for.
        notices: what to tell.
    """

    takes: Takes
    scores: tuple[TakeScores, ...] = ()
    ranking: Ranking | None = None
    histories: tuple[VoiceHistory, ...] = ()
    notices: tuple[str, ...] = ()


def sample_best(
    sampler: TakeSampler, first: int, keep: int, *, no_voice: bool, voice_retries: int
) -> BestTakes:
    """Sample all takes of a job, and keep the best of them, best first.

    Args:
        sampler: makes ``count`` takes.
        first: seed of the first take; take k gets ``first + k``.
        keep: how many takes to keep.
        no_voice: whether takes with voices come last, and those of them that are kept are sampled
            again, at most ``voice_retries`` times.
    """
    takes = sampler.sample(range(first, first + sampler.count))
    scores = _score(sampler, takes)
    heard = find_voices(sampler, takes) if no_voice else []
    totals = rank(scores, _WEIGHTS).totals
    order = _best_first(scores, heard)
    told = [_describe_choice(takes.seeds, totals, order[:keep], order[keep:])]
    told += unmeasured(dict(zip(takes.seeds, scores, strict=True)), "seed")
    takes, scores = takes.select(order[:keep]), [scores[take] for take in order[:keep]]
    histories: Sequence[VoiceHistory] = ()
    if no_voice:
        heard = [heard[take] for take in order[:keep]]
        cleaned = remove_voices(sampler, takes, heard, first, voice_retries)
        takes, histories = cleaned.takes, cleaned.histories
        changed = [take for take, history in enumerate(histories) if history.changed]
        if changed:
            for take, new in zip(changed, _score(sampler, takes.select(changed)), strict=True):
                scores[take] = new
        order = _best_first(scores, [history.left for history in histories])
        takes, scores = takes.select(order), [scores[take] for take in order]
        histories = [histories[take] for take in order]
    ranking = rank(scores, _WEIGHTS)
    return BestTakes(
        takes=takes,
        scores=tuple(scores),
        ranking=replace(ranking, order=tuple(range(keep))),
        histories=tuple(histories),
        notices=(*told, *_describe_voices(histories)),
    )


def sample_without_voices(sampler: TakeSampler, first: int, voice_retries: int) -> BestTakes:
    """Sample all takes of a job; those with voices are sampled again. Nothing else is measured."""
    takes = sampler.sample(range(first, first + sampler.count))
    cleaned = remove_voices(sampler, takes, find_voices(sampler, takes), first, voice_retries)
    not_asked = {name: NOT_ASKED for name in SCORES if name != "voice"}
    return BestTakes(
        takes=cleaned.takes,
        scores=tuple(
            TakeScores(voice=one.left.share, unmeasured=not_asked) for one in cleaned.histories
        ),
        ranking=Ranking(order=tuple(range(sampler.count)), totals=(None,) * sampler.count),
        histories=cleaned.histories,
        notices=tuple(_describe_voices(cleaned.histories)),
    )


def _score(sampler: TakeSampler, takes: Takes) -> list[TakeScores]:
    return score_takes(
        sampler.networks,
        sampler.features,
        takes.waveforms,
        sampler.networks.params.audio.sample_rate,
        _WEIGHTS,
        latents=takes.latents[:, 0],
        judge_agreement=agreement_judge(sampler.model, sampler.features, sampler.progress),
        progress=sampler.progress,
    )


def _best_first(scores: Sequence[TakeScores], heard: Sequence[VoiceResult]) -> list[int]:
    """Order of the takes; those with a voice, where voices were looked for, after the others."""
    order = rank(scores, _WEIGHTS).order
    return sorted(order, key=lambda take: bool(heard and heard[take].intervals))  # stable


def _describe_choice(
    seeds: Sequence[int],
    totals: Sequence[float | None],
    kept: Sequence[int],
    others: Sequence[int],
) -> str:
    told = ", ".join(f"seed {seeds[take]}{_total(totals[take])}" for take in kept)
    rest = [total for take in others if (total := totals[take]) is not None]
    end = f"; the others have {min(rest):.2f} to {max(rest):.2f}" if rest else ""
    return f"best_of: of {len(seeds)} takes, kept {told}{end}."


def _total(total: float | None) -> str:
    return "" if total is None else f" (total {total:.2f})"


def _describe_voices(histories: Sequence[VoiceHistory]) -> list[str]:
    return [
        f"no_voice, take {take}: {text}."
        for take, history in enumerate(histories)
        if (text := history.describe())
    ]
