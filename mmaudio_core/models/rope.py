"""Rotary position embedding (Su et al., arXiv 2104.09864), pairs of adjacent channels."""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10_000.0


def rotations(length: int, width: int, *, scale: float = 1.0, device: torch.device) -> Tensor:
    """cos and sin of ``position * scale / 10000^(2i/width)``: (2, length, width/2), float32.

    ``scale`` stretches positions: a stream of V frames beside N latents uses N/V, so that both
    turn by the same angle at the same moment.
    """
    channel = torch.arange(0, width, 2, dtype=torch.float32, device=device)
    frequency = 1.0 / BASE ** (channel / width) * scale
    position = torch.arange(length, dtype=torch.float32, device=device)
    angle = torch.outer(position, frequency)
    return torch.stack((angle.cos(), angle.sin()))


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn the pairs (a, b) of ``x`` (..., L, W) into (a cos - b sin, a sin + b cos), in float32.

    ``rotation`` is ``rotations(L, W)``; the result has the dtype of ``x``.
    """
    cos, sin = rotation
    a, b = torch.unflatten(x.float(), -1, (-1, 2)).unbind(-1)
    turned = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1)
    return turned.flatten(-2).to(x.dtype)
