"""Takes without voices: other seeds for takes in which a voice is heard, then another part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.sampling.inpaint import region_mask
from ..mmaudio_core.scoring import voice
from ..mmaudio_core.scoring.score import VOICE_STAGE
from ..mmaudio_core.scoring.voice import VoiceResult
from .comfy_sampling import SEED_RANGE
from .take_sampling import Takes, TakeSampler

# Where a voice is made anew, prompt and picture get these multiples of cfg.
TEXT_STRENGTH, VIDEO_STRENGTH = 1.5, 0.5
_MARGIN = _FEATHER = Fraction(1, 10)  # s around a voice: made anew too, then blended


@dataclass(frozen=True, kw_only=True)
class Remade:
    """Voices of a take after the parts with a voice were sampled anew from ``seed``."""

    seed: int
    heard: VoiceResult


@dataclass(frozen=True, kw_only=True)
class VoiceHistory:
    """What was tried to get rid of the voices of a take.

    Attributes:
        tried: seeds, with what was heard in each.
        kept: which of them the take is.
        remade: what came of sampling the voices of that anew; None if that was not tried.
    """

    tried: tuple[tuple[int, VoiceResult], ...]
    kept: int = 0
    remade: Remade | None = None

    @property
    def base(self) -> VoiceResult:
        """Voices of the kept seed, before a part was sampled anew."""
        return self.tried[self.kept][1]

    @property
    def left(self) -> VoiceResult:
        """Voices of the finished take."""
        return self.remade.heard if self.helped and self.remade else self.base

    @property
    def helped(self) -> bool:
        """Whether parts that were sampled anew were kept."""
        return self.remade is not None and _less(self.remade.heard, self.base)

    @property
    def changed(self) -> bool:
        """Whether the take is not the one that was sampled first."""
        return self.helped or self.kept > 0

    def as_note(self) -> dict[str, Any]:
        """All of it, which is JSON; times are in seconds of the sound."""
        return {
            "tried": [{"seed": seed, "voice": heard.share} for seed, heard in self.tried],
            "remade": [list(times) for times in self.base.intervals] if self.helped else [],
            "left": [list(times) for times in self.left.intervals],
        }

    def describe(self) -> str:
        """What was tried and what is left; empty if there was never a voice."""
        if not self.tried[0][1].intervals:
            return ""
        shares = ", ".join(f"{_share(heard)} with seed {seed}" for seed, heard in self.tried)
        told = f"voice {shares}; kept seed {self.tried[self.kept][0]}"
        if self.remade is not None:
            told += f"; {_times(self.base)} made anew with seed {self.remade.seed}: "
            told += _share(self.remade.heard) if self.helped else "no less, not kept"
        return f"{told}. A voice is left at {_times(self.left)}" if self.left.intervals else told


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """Takes after all was tried, and what was: one history per take."""

    takes: Takes
    histories: tuple[VoiceHistory, ...]


def check_detector() -> None:
    """Raise MMAudioError if voices cannot be found."""
    reason = voice.find_voice(torch.zeros(1, voice.FRAME), voice.SAMPLE_RATE).reason
    if reason:
        raise MMAudioError(
            f"got no_voice, but voices cannot be found: {reason} (pip install -U silero-vad, with "
            "the Python that runs ComfyUI), or turn off no_voice."
        )


def find_voices(sampler: TakeSampler, takes: Takes) -> list[VoiceResult]:
    """Voices of each take."""
    rate, total = sampler.networks.params.audio.sample_rate, len(takes.seeds)
    results: list[VoiceResult] = []
    for waveform in takes.waveforms:
        sampler.progress(VOICE_STAGE, len(results), total)
        results.append(voice.find_voice(waveform, rate))
    return results


def retry_seed(first: int, count: int, place: int, attempt: int) -> int:
    """Seed of another attempt at a take: unlike those of all other takes and attempts.

    Args:
        first: seed of the first take.
        count: number of takes that were sampled first.
        place: number of the take among them, counted from 0.
        attempt: counted from 1; 0 is the take itself.
    """
    return (first + attempt * count + place) % SEED_RANGE


def remove_voices(
    sampler: TakeSampler, takes: Takes, heard: Sequence[VoiceResult], first: int, retries: int
) -> Cleaned:
    """Try other seeds for takes with a voice, then sample only the voices anew.

    Of all attempts at a take, that with the least voice is kept. If there still is one, its voices
    are sampled anew with more of the prompt and less of the picture, and the result is kept if
    there is less voice in it. Voices in a part that the sampler keeps stay.

    Args:
        takes: as sampled.
        heard: voices of each.
        first: seed of the first of all takes.
        retries: how many other seeds each may get.
    """
    histories = [
        VoiceHistory(tried=((seed, one),)) for seed, one in zip(takes.seeds, heard, strict=True)
    ]
    count = sampler.count

    def voiced() -> list[int]:
        """Takes with a voice that can be sampled anew."""
        if sampler.denoise <= 0:  # nothing is
            return []
        return [
            take
            for take, place in enumerate(takes.places)
            if bool(_voice_mask(sampler, histories[take].base, place).any())
        ]

    for attempt in range(1, retries + 1):
        again = voiced()
        if not again:
            break
        places = [takes.places[take] for take in again]
        made = sampler.sample([retry_seed(first, count, p, attempt) for p in places], places)
        results = find_voices(sampler, made)
        better: dict[int, int] = {}
        for number, take in enumerate(again):
            tried = (*histories[take].tried, (made.seeds[number], results[number]))
            kept = histories[take].kept
            if _less(results[number], histories[take].base):
                kept, better[take] = len(tried) - 1, number
            histories[take] = VoiceHistory(tried=tried, kept=kept)
        takes = takes.replace(better, made)

    again = voiced()
    if again:
        chosen = takes.select(again)
        masks = [_voice_mask(sampler, histories[take].base, takes.places[take]) for take in again]
        seeds = [retry_seed(first, count, place, retries + 1) for place in chosen.places]
        cfg = max(sampler.cfg, 1.0)
        made = sampler.remake(
            chosen, seeds, torch.stack(masks), TEXT_STRENGTH * cfg, VIDEO_STRENGTH * cfg
        )
        results = find_voices(sampler, made)
        better = {}
        for number, take in enumerate(again):
            remade = Remade(seed=seeds[number], heard=results[number])
            histories[take] = replace(histories[take], remade=remade)
            if _less(results[number], histories[take].base):
                better[take] = number
        # the seed is still that of the rest of the take
        takes = replace(takes.replace(better, made), seeds=takes.seeds)
    return Cleaned(takes=takes, histories=tuple(histories))


def _voice_mask(sampler: TakeSampler, heard: VoiceResult, place: int) -> Tensor:
    """Where the voices of a take are sampled anew: (N,), all 0 if there are none to be."""
    fmt, duration = sampler.networks.params.audio, sampler.features.duration
    editable = sampler.editable(place)
    mask = torch.zeros_like(editable)
    for start, end in heard.intervals:
        begin = max(exact_seconds(start) - _MARGIN, Fraction(0))
        region = region_mask(
            len(editable), fmt, duration, begin, exact_seconds(end) + _MARGIN, _FEATHER
        )
        mask = torch.maximum(mask, region)
    return torch.minimum(mask, editable)


def _less(one: VoiceResult, other: VoiceResult) -> bool:
    return (one.share or 0.0) < (other.share or 0.0)


def _share(heard: VoiceResult) -> str:
    return f"{heard.share:.0%}" if heard.intervals else "none"


def _times(heard: VoiceResult) -> str:
    return ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in heard.intervals)
