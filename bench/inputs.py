"""Seeded inputs of each stage, the same in every process.

A stage runs on these and not on the previous stage's output, so that every implementation computes
the same and any stage can run alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmaudio_core.config import SYNC_FPS, SequenceLengths, sequence_lengths
from mmaudio_core.models.flow import FlowParams
from mmaudio_core.sampling.noise import get_noise

from .job import Job


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Inputs of a job's stages on the CPU; float32, except for the frames."""

    job: Job
    flow: FlowParams

    @property
    def lengths(self) -> SequenceLengths:
        return sequence_lengths(self.job.duration, self.flow.audio)

    @cached_property
    def clip_frames(self) -> Tensor:
        """(V, 3, 384, 384) uint8."""
        return _pixels(1, self.lengths.clip, 384)

    @cached_property
    def sync_frames(self) -> Tensor:
        """(25 per second, 3, 224, 224) uint8."""
        return _pixels(2, int(SYNC_FPS * self.job.duration), 224)

    @cached_property
    def clip(self) -> Tensor:
        """(1, V, clip_dim), with unit norm as CLIP's features."""
        return normalize(_normal(3, 1, self.lengths.clip, self.flow.clip_dim), dim=-1)

    @cached_property
    def sync(self) -> Tensor:
        """(1, S, sync_dim)."""
        return _normal(4, 1, self.lengths.sync, self.flow.sync_dim)

    @cached_property
    def text(self) -> Tensor:
        """(2, 77, text_dim): the prompt and the negative prompt."""
        return normalize(_normal(5, 2, 77, self.flow.text_dim), dim=-1)

    @cached_property
    def noise(self) -> Tensor:
        """(takes, N, latent_dim): the noise that our sampler draws for the job's seeds."""
        return get_noise(self.job.seeds, self.lengths.latent, self.flow.latent_dim)

    @cached_property
    def latents(self) -> Tensor:
        """(takes, N, latent_dim), on the VAE's scale."""
        return _normal(6, self.job.takes, self.lengths.latent, self.flow.latent_dim)

    @cached_property
    def waveform(self) -> Tensor:
        """(1, samples of the duration): quiet noise."""
        samples = round(self.job.duration * self.flow.audio.sample_rate)
        return 0.1 * _normal(8, 1, samples).clamp(-3, 3)


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))


def _pixels(seed: int, count: int, size: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    shape = (count, 3, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
