"""Joins of a long sound cannot be told from what lies between them.

A full-width network makes a minute from features that change all the time, so its windows do not
agree: where two overlap, guided velocities share about half of their variance. Level, spectral flux
and high band are taken from the mel at every join and between every two joins, and compared by a
two-sample test. Weights are seeded, so this is about joins, not about how anything sounds; and the
VAE normalises what it is given, so of a lost level little reaches the mel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import cramervonmises_2samp
from torch import Tensor

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.config import FORMAT_16K, MEL_PER_LATENT, TEXT_TOKENS, sequence_lengths
from mmaudio_core.features.shots import detect_shot_changes
from mmaudio_core.features.types import Features
from mmaudio_core.models.vae import VAE
from mmaudio_core.sampling.sample import sample
from mmaudio_core.sampling.windows import JoinMode, WindowParams, WindowPlan, plan_windows

from .full import FullNetworks

SECONDS = Fraction(60)
SEEDS = range(4)  # nine joins each; a job's features and noise are its seed's
STEPS = 2
FRAMES = 100  # mel frames of a span: 1.6 s, all of a join
_PIECE = 500  # latents

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # some 100 s of a core


@dataclass(frozen=True, kw_only=True)
class PValues:
    """That joins and what lies between them are of one distribution."""

    level: float
    flux: float
    high: float


@lru_cache
def networks() -> FullNetworks:
    return FullNetworks()


@lru_cache
def plan(join: JoinMode = JoinMode.BLEND) -> WindowPlan:
    """Where the windows of a job lie."""
    lengths = sequence_lengths(SECONDS, FORMAT_16K)
    made = plan_windows(lengths, SECONDS, FORMAT_16K, WindowParams(join=join))
    assert made is not None
    return made


@lru_cache
def features(seed: int) -> Features:
    """Prompts, and a picture that is another one every second, without cuts."""
    p, lengths = networks().params, sequence_lengths(SECONDS, FORMAT_16K)
    generator = torch.Generator().manual_seed(seed)

    def drifting(length: int, width: int) -> Tensor:
        seconds = torch.randn(1, width, int(SECONDS) + 1, generator=generator)
        x = F.interpolate(seconds, size=length, mode="linear", align_corners=True)
        return (x / x.std()).transpose(1, 2)

    clip = drifting(lengths.clip, p.clip_dim)
    assert not detect_shot_changes(clip)
    return Features(
        duration=SECONDS,
        clip=clip,
        sync=drifting(lengths.sync, p.sync_dim),
        text=torch.randn(1, TEXT_TOKENS, p.text_dim, generator=generator),
        negative=torch.randn(1, TEXT_TOKENS, p.text_dim, generator=generator),
    )


def joined(seed: int, join: JoinMode = JoinMode.BLEND) -> Tensor:
    """Latents as the pipeline makes them: windows of one latent."""
    return sample(networks(), features(seed), [seed], steps=STEPS, windows=WindowParams(join=join))


@lru_cache
def apart(seed: int) -> Tensor:
    """(1, windows, n, latent_dim): each window sampled for itself, with noise of its own."""
    whole, inside = features(seed), plan().lengths
    assert whole.clip is not None and whole.sync is not None
    parts: list[Tensor] = []
    for number, window in enumerate(plan().windows):
        part = replace(
            whole,
            duration=Fraction(inside.samples, FORMAT_16K.sample_rate),
            clip=whole.clip[:, window.clip_start : window.clip_start + inside.clip],
            sync=whole.sync[:, window.sync_start : window.sync_start + inside.sync],
        )
        parts.append(sample(networks(), part, [1000 * (seed + 1) + number], steps=STEPS))
    return torch.stack(parts, dim=1)


def joined_afterwards(seed: int, join: JoinMode) -> Tensor:
    """Latents of windows that have nothing in common but what they hear and see: a bad join."""
    return plan(join).join(apart(seed), sequence_lengths(SECONDS, FORMAT_16K).latent)


def log_mel(latents: Tensor) -> Tensor:
    """(1, N, latent_dim) to (mels, frames), common logarithms of amplitudes."""
    vae = networks().acquire(PartKind.VAE, 0).network
    assert isinstance(vae, VAE)
    with torch.no_grad():
        return torch.cat(list(vae.decode_chunks(latents.transpose(1, 2), _PIECE)), dim=-1)[0]


@lru_cache
def mels() -> tuple[Tensor, ...]:
    """The sound of every seed, by the default join."""
    return tuple(log_mel(joined(seed)) for seed in SEEDS)


def middles() -> tuple[list[int], list[int]]:
    """Mel frames in the middle of each join, and as many in the middle between joins."""
    length = plan().lengths.latent
    joins = [
        (left.latent_start + length + right.latent_start) * MEL_PER_LATENT // 2
        for left, right in pairwise(plan().windows)
    ]
    inside = [(left + right) // 2 for left, right in pairwise(joins)]
    return joins, [joins[0] - (inside[0] - joins[0]), *inside]


def span(middle: int) -> slice:
    return slice(middle - FRAMES // 2, middle + FRAMES // 2)


def measures(mel: Tensor, where: Sequence[int]) -> Tensor:
    """(spans, 3): mean level in dB, spectral flux, and level in dB of the upper third of bands."""
    mel = mel.double()
    energy = 10 ** (2 * mel)
    frames = torch.stack(
        (
            10 * energy.sum(0).log10(),
            F.pad(mel.diff(dim=1).norm(dim=0), (1, 0)),
            10 * energy[-(len(mel) // 3) :].sum(0).log10(),
        )
    )
    return torch.stack([frames[:, span(middle)].mean(dim=1) for middle in where])


def compare(sounds: Sequence[Tensor]) -> PValues:
    """The two-sample Cramér-von Mises test; frames of a span are correlated, so it counts once."""
    at_joins, between = (torch.cat([measures(mel, where) for mel in sounds]) for where in middles())
    level, flux, high = (
        float(cramervonmises_2samp(at_joins[:, i].numpy(), between[:, i].numpy()).pvalue)
        for i in range(3)
    )
    return PValues(level=level, flux=flux, high=high)


def changed_at_joins(bands: slice, by: float) -> list[Tensor]:
    """The sounds, with ``by`` dB added to bands of the spans at joins."""
    sounds = [mel.clone() for mel in mels()]
    for mel in sounds:
        for middle in middles()[0]:
            mel[bands, span(middle)] += by / 20
    return sounds


def test_joins_are_like_what_lies_between_them() -> None:
    got = compare(mels())
    assert min(got.level, got.flux, got.high) > 0.05, str(got)


def test_windows_joined_afterwards_are_told() -> None:
    """Averages of two noises change less from frame to frame, frames taken in turns change more."""
    swapped = compare([log_mel(joined_afterwards(seed, JoinMode.INTERLEAVE)) for seed in SEEDS])
    assert swapped.flux < 1e-5, str(swapped)
    averaged = compare([log_mel(joined_afterwards(seed, JoinMode.AVERAGE)) for seed in SEEDS])
    assert averaged.flux < 1e-5, str(averaged)


def test_quieter_and_duller_joins_are_told() -> None:
    """What the other two measures would find: half the energy gone, of all or of what is high."""
    quieter, duller = changed_at_joins(slice(None), -3), changed_at_joins(slice(-26, None), -3)
    got = compare(quieter)
    assert got.level < 1e-6, str(got)
    got = compare(duller)
    assert got.high < 1e-4, str(got)
