"""Helpers for tests of networks: weights, noise, receptive fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from mmaudio_core.models.chunked import LocalOp


def shapes_of(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(weight.shape) for key, weight in weights.items()}


def renamed(
    weights: Mapping[str, Tensor], suffixes: Mapping[str, str], ignored: Collection[str]
) -> dict[str, Tensor]:
    """``weights`` without the ignored keys, the ends of the others replaced."""
    out: dict[str, Tensor] = {}
    for key, weight in weights.items():
        if key in ignored:
            continue
        old = next((end for end in suffixes if key.endswith(end)), None)
        out[key if old is None else key.removesuffix(old) + suffixes[old]] = weight
    return out


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def affected(op: LocalOp, x: Tensor, index: int) -> tuple[int, int]:
    """First and last output that depend on input ``index``."""
    x[..., index] = torch.nan
    outputs = op.run(x).isnan().any(dim=1)[0].nonzero()[:, 0]
    return int(outputs[0]), int(outputs[-1])
