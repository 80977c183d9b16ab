"""The ``operations`` convention of ComfyUI's models, typed.

A network makes its layers through a namespace that defaults to ``torch.nn``. ComfyUI passes its
own, whose layers cast weights to the input's dtype and device when used: that is what makes
streaming of weights from main memory work.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Operations(Protocol):
    """What a network asks of its ``operations`` namespace."""

    Linear: Any
    Conv1d: Any
    Conv2d: Any
    Conv3d: Any
    ConvTranspose1d: Any
    LayerNorm: Any
    Embedding: Any


def bare(*shape: int, device: torch.device | str | None, dtype: torch.dtype | None) -> nn.Parameter:
    """An uninitialised parameter that belongs to no layer; cast it at use with ``cast``."""
    return nn.Parameter(torch.empty(shape, device=device, dtype=dtype), requires_grad=False)


def cast(parameter: Tensor, like: Tensor) -> Tensor:
    """``parameter`` on the device and in the dtype of ``like``."""
    return parameter.to(device=like.device, dtype=like.dtype)
