"""Masks for regenerating part of a latent, and extending it past its end."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from ..config import AudioFormat, sequence_lengths
from ..errors import MMAudioError, Problem


def region_mask(
    latents: int,
    fmt: AudioFormat,
    duration: Fraction,
    start: Fraction,
    end: Fraction,
    feather: Fraction,
) -> Tensor:
    """Mask (N,) in [0, 1] of the latents to regenerate: 1 from ``start`` to ``end``.

    Outside that region the mask falls linearly to 0 over ``feather`` seconds. Latents whose mask
    is 0 are kept exactly.

    Args:
        latents: N.
        fmt: audio format of the latents.
        duration: seconds of audio.
        start, end: the region in seconds.
        feather: seconds.

    Raises:
        MMAudioError: the region is empty or starts past the end.
    """
    if not 0 <= start < end:
        raise MMAudioError(
            f"got a region from {float(start):g} s to {float(end):g} s, expected a start before "
            "its end",
            Problem.REGION,
        )
    if start >= duration:
        raise MMAudioError(
            f"got a region that starts at {float(start):g} s, expected a start before the end of "
            f"the audio at {float(duration):g} s",
            Problem.REGION,
        )
    centers = (torch.arange(latents, dtype=torch.float64) + 0.5) * fmt.seconds_per_latent
    distance = torch.maximum(float(start) - centers, centers - float(end)).clamp(min=0)
    if feather == 0:
        return (distance == 0).float()
    return (1 - distance / float(feather)).clamp(0, 1).float()


def extend_latents(
    latents: Tensor, fmt: AudioFormat, old: Fraction, new: Fraction, overlap: Fraction
) -> tuple[Tensor, Tensor]:
    """Extend latents past their end, and mask the new part for regeneration.

    Args:
        latents: (takes, 1, N, C).
        fmt: audio format of the latents.
        old: seconds of audio in ``latents``.
        new: seconds of audio after the extension.
        overlap: seconds before the old end over which the mask rises.

    Returns:
        Latents (takes, 1, N', C), the last one repeated in the new part, and the mask (N',).

    Raises:
        MMAudioError: ``new`` is not longer than ``old``.
    """
    length = sequence_lengths(new, fmt).latent
    if length <= latents.shape[2]:
        raise MMAudioError(
            f"got a new duration of {float(new):g} s for {float(old):g} s of audio, expected a "
            "longer one"
        )
    added = latents[:, :, -1:].expand(-1, -1, length - latents.shape[2], -1)
    mask = region_mask(length, fmt, new, old, new + 1, overlap)
    return torch.cat((latents, added), dim=2), mask
