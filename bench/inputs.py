"""What each stage is given: drawn from a seed, the same in every process.

A stage is timed on these and not on what the stage before it made, so that both sides compute
the same and any stage can run alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mmaudio_core.config import SYNC_FPS, SequenceLengths, sequence_lengths
from mmaudio_core.models.flow import FlowParams
from mmaudio_core.sampling.noise import get_noise

from .job import Job

_CLIP_SIZE, _SYNC_SIZE = 384, 224  # pixels a side


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs of a job's stages; float32 on the CPU, but for the frames."""

    job: Job
    flow: FlowParams

    @property
    def lengths(self) -> SequenceLengths:
        return sequence_lengths(self.job.duration, self.flow.audio)

    @cached_property
    def clip_frames(self) -> Tensor:
        """(V, 3, 384, 384) uint8."""
        return _pixels(1, self.lengths.clip, _CLIP_SIZE)

    @cached_property
    def sync_frames(self) -> Tensor:
        """(25 a second, 3, 224, 224) uint8."""
        return _pixels(2, int(SYNC_FPS * self.job.duration), _SYNC_SIZE)

    @cached_property
    def clip(self) -> Tensor:
        """(1, V, clip_dim), of length 1, as CLIP's are."""
        features = _normal(3, 1, self.lengths.clip, self.flow.clip_dim)
        return torch.nn.functional.normalize(features, dim=-1)

    @cached_property
    def sync(self) -> Tensor:
        """(1, S, sync_dim)."""
        return _normal(4, 1, self.lengths.sync, self.flow.sync_dim)

    @cached_property
    def text(self) -> Tensor:
        """(2, 77, text_dim): of the prompt and of the negative prompt."""
        return torch.nn.functional.normalize(_normal(5, 2, 77, self.flow.text_dim), dim=-1)

    @cached_property
    def noise(self) -> Tensor:
        """(takes, N, latent_dim), what our sampler draws for the job's seeds."""
        return get_noise(self.job.seeds, self.lengths.latent, self.flow.latent_dim)

    @cached_property
    def latents(self) -> Tensor:
        """(takes, N, latent_dim), on the VAE's scale."""
        return _normal(6, self.job.takes, self.lengths.latent, self.flow.latent_dim)

    @cached_property
    def mel(self) -> Tensor:
        """(takes, mels, 2 N), about as loud as speech."""
        mels = _normal(7, self.job.takes, self.flow.audio.mels, 2 * self.lengths.latent)
        return mels - 4

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
