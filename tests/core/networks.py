"""Loading tiny published state dicts into networks, without the checkpoint module."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor


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
