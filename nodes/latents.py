"""LATENT of this pack: (takes, 1, N, C), and how many seconds it stands for."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ..mmaudio_core.config import AudioFormat, audio_format, sequence_lengths
from ..mmaudio_core.errors import MMAudioError

_DURATION = "mmaudio_duration"  # Fraction, seconds; survives KSampler and other core nodes

Latent = dict[str, Any]  # ComfyUI's LATENT


def latent(samples: Tensor, duration: Fraction, **entries: Any) -> Latent:
    """A LATENT of that many seconds."""
    return {"samples": samples, _DURATION: duration, **entries}


def empty(duration: Fraction, fmt: AudioFormat) -> Latent:
    """Where sampling from noise starts: zeros."""
    length = sequence_lengths(duration, fmt).latent
    return latent(torch.zeros(1, 1, length, fmt.latent_dim), duration)


def checked(value: Latent) -> tuple[Tensor, AudioFormat, Fraction]:
    """Samples (takes, 1, N, C), their format and their seconds.

    Raises:
        MMAudioError: a latent of another kind.
    """
    samples = value["samples"]
    if samples.ndim != 4 or samples.shape[1] != 1:
        raise MMAudioError(
            f"a latent of shape {tuple(samples.shape)} was got, (takes, 1, length, width) was "
            "expected: connect a latent made by an MMAudio node"
        )
    fmt = audio_format(samples.shape[-1])
    whole = Fraction(samples.shape[2] * fmt.samples_per_latent, fmt.sample_rate)
    duration = value.get(_DURATION, whole)
    if sequence_lengths(duration, fmt).latent != samples.shape[2]:  # cut or joined elsewhere
        duration = whole
    return samples, fmt, duration
