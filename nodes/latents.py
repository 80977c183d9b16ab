"""The pack's LATENT: samples of shape (takes, 1, N, C) and their exact duration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
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


@dataclass(frozen=True, kw_only=True)
class SoundLatent:
    """What a LATENT holds.

    Attributes:
        samples: (takes, 1, N, C).
        format: that of the models that made it.
        duration: seconds.
        notices: where the duration may not be the one that the latent was made with.
    """

    samples: Tensor
    format: AudioFormat
    duration: Fraction
    notices: tuple[str, ...] = ()


def read_latent(latent: Latent, duration: Fraction | None = None) -> SoundLatent:
    """Check a LATENT, and find out how long it sounds.

    Of core's nodes, Load Latent and Rebatch Latents drop the duration, and Latent Batch drops that
    of its second latent. Without a duration it is that of all N latents, which is longer than the
    sound by less than one of them.

    Args:
        latent: of any of this pack's models.
        duration: the seconds it was made with, if they are known from elsewhere.

    Raises:
        MMAudioError: a latent of another shape, or of another length than ``duration``.
    """
    samples = latent["samples"]
    if samples.ndim != 4 or samples.shape[1] != 1:
        raise MMAudioError(
            f"got a latent of shape {tuple(samples.shape)}, expected (takes, 1, length, width)",
            Problem.LATENT,
        )
    fmt = audio_format(samples.shape[-1])
    full = Fraction(samples.shape[2] * fmt.samples_per_latent, fmt.sample_rate)
    if duration is not None:
        if not _fits(duration, samples, fmt):
            raise MMAudioError(
                f"got a latent of {float(full):.3f} s for features of {float(duration):g} s. "
                "Connect the features that it was sampled with."
            )
        return SoundLatent(samples=samples, format=fmt, duration=duration)
    notices: tuple[str, ...] = ()
    duration = latent.get(_DURATION)
    if duration is None or not _fits(duration, samples, fmt):
        duration = full
        notices = (
            "got a latent that does not say how long it sounds, as Load Latent, Rebatch Latents "
            f"and nodes that cut or join latents give it: took all of it, {float(full):.3f} s",
        )
    elif _was_joined(latent.get("batch_index")):
        notices = (
            "got latents that were joined into a batch, which keeps the duration of the first one "
            f"only: all of them were taken to last {float(duration):g} s",
        )
    return SoundLatent(samples=samples, format=fmt, duration=duration, notices=notices)


def _fits(duration: Fraction, samples: Tensor, fmt: AudioFormat) -> bool:
    return sequence_lengths(duration, fmt).latent == samples.shape[2]


def _was_joined(batch_index: Sequence[int] | None) -> bool:
    """Whether Latent Batch made the indices; those of one batch and its parts follow each other."""
    return batch_index is not None and any(b - a != 1 for a, b in pairwise(batch_index))
