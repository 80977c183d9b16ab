"""The pack's LATENT: samples of shape (takes, 1, N, C) and their exact duration."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ..mmaudio_core.config import AudioFormat, audio_format, sequence_lengths
from ..mmaudio_core.errors import MMAudioError, Problem

_DURATION = "mmaudio_duration"  # Fraction, seconds; KSampler and other core nodes pass it on

Latent = dict[str, Any]  # ComfyUI's LATENT


def make_latent(samples: Tensor, duration: Fraction, **entries: Any) -> Latent:
    """A LATENT of ``duration`` seconds."""
    return {"samples": samples, _DURATION: duration, **entries}


def empty_latent(duration: Fraction, fmt: AudioFormat) -> Latent:
    """Zeros: the start of sampling from noise alone."""
    length = sequence_lengths(duration, fmt).latent
    return make_latent(torch.zeros(1, 1, length, fmt.latent_dim), duration)


def read_latent(latent: Latent) -> tuple[Tensor, AudioFormat, Fraction]:
    """Samples (takes, 1, N, C), their format, and their duration in seconds.

    Raises:
        MMAudioError: a latent of another shape.
    """
    samples = latent["samples"]
    if samples.ndim != 4 or samples.shape[1] != 1:
        raise MMAudioError(
            f"got a latent of shape {tuple(samples.shape)}, expected (takes, 1, length, width)",
            Problem.LATENT,
        )
    fmt = audio_format(samples.shape[-1])
    full = Fraction(samples.shape[2] * fmt.samples_per_latent, fmt.sample_rate)
    duration = latent.get(_DURATION, full)
    if sequence_lengths(duration, fmt).latent != samples.shape[2]:  # a core node cut or joined it
        duration = full
    return samples, fmt, duration
