"""Which latents of a result to make anew, in seconds."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from ..config import AudioFormat, sequence_lengths
from ..errors import MMAudioError


def region_mask(
    latents: int,
    fmt: AudioFormat,
    duration: Fraction,
    start: Fraction,
    end: Fraction,
    feather: Fraction,
) -> Tensor:
    """How much of each latent to make anew: (N,) in [0, 1], 1 from ``start`` to ``end``.

    Outside, it falls to 0 over ``feather`` seconds; what is 0 is kept exactly.

    Raises:
        MMAudioError: an empty region, or one past the end.
    """
    if not 0 <= start < end:
        raise MMAudioError(
            f"a region from {float(start):g} s to {float(end):g} s was got; its start has to lie "
            "before its end: change start or end"
        )
    if start >= duration:
        raise MMAudioError(
            f"a region that starts at {float(start):g} s was got, but the sound ends at "
            f"{float(duration):g} s: lower start"
        )
    seconds = fmt.samples_per_latent / fmt.sample_rate
    middle = (torch.arange(latents, dtype=torch.float64) + 0.5) * seconds
    outside = torch.maximum(float(start) - middle, middle - float(end)).clamp(min=0)
    if feather == 0:
        return (outside == 0).float()
    return (1 - outside / float(feather)).clamp(0, 1).float()


def extend_latents(
    latents: Tensor, fmt: AudioFormat, old: Fraction, new: Fraction, overlap: Fraction
) -> tuple[Tensor, Tensor]:
    """Room after the end.

    Args:
        latents: (takes, 1, N, C), ``old`` seconds.
        fmt: what the latents stand for.
        old: seconds there are.
        new: seconds wanted in all.
        overlap: seconds before the old end over which old and new are blended.

    Returns:
        Latents (takes, 1, N', C), the last one repeated in the new part, and the mask (N',).

    Raises:
        MMAudioError: ``new`` is not longer.
    """
    length = sequence_lengths(new, fmt).latent
    if length <= latents.shape[2]:
        raise MMAudioError(
            f"a duration of {float(new):g} s was got to extend a sound of {float(old):g} s: set "
            "duration to more than it has"
        )
    room = latents[:, :, -1:].expand(-1, -1, length - latents.shape[2], -1)
    mask = region_mask(length, fmt, new, old, new + 1, overlap)
    return torch.cat((latents, room), dim=2), mask
