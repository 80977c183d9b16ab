"""Rotary position embedding (Su et al., arXiv 2104.09864) on pairs of adjacent channels."""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10_000.0


def rotations(length: int, width: int, *, scale: float = 1.0, device: torch.device) -> Tensor:
    """Cosines and signed sines of the angles ``position * scale / 10000^(2i/width)``.

    ``scale`` stretches positions: a stream of V frames next to N latents uses N/V, so that both
    have the same angle at the same moment.

    Returns:
        (2, length, width) float32: the cosine for each channel, and the sine by which the other
        channel of its pair is multiplied, negative for the first of a pair.
    """
    channel = torch.arange(0, width, 2, dtype=torch.float32, device=device)
    frequency = 1.0 / BASE ** (channel / width) * scale
    position = torch.arange(length, dtype=torch.float32, device=device)
    angle = torch.outer(position, frequency)
    cos, sin = angle.cos(), angle.sin()
    pairs = torch.stack((torch.stack((cos, cos), dim=-1), torch.stack((-sin, sin), dim=-1)))
    return pairs.flatten(2)


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate the channel pairs (a, b) of ``x`` to (a cos - b sin, a sin + b cos), in float32.

    Args:
        x: (..., L, W).
        rotation: ``rotations(L, W)``.

    Returns:
        The shape and dtype of ``x``.
    """
    cos, sin = rotation
    exact = x.float()
    swapped = torch.unflatten(exact, -1, (-1, 2)).flip(-1).flatten(-2)
    return torch.addcmul(exact * cos, swapped, sin).to(x.dtype)
