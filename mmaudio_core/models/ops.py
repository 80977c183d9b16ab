"""How networks build their layers: ComfyUI's ``operations`` convention, typed.

A network takes its layer classes from a namespace that defaults to ``torch.nn``. ComfyUI passes its
own, whose layers cast their weights to the input's dtype and device at use; this is what lets it
stream weights from main memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .attention import Attention, sdpa


class Operations(Protocol):
    """The layer classes that the networks use."""

    Linear: Any
    Conv1d: Any
    Conv2d: Any
    Conv3d: Any
    ConvTranspose1d: Any
    LayerNorm: Any
    Embedding: Any


TORCH_OPERATIONS: Operations = nn  # pyright: ignore[reportAssignmentType]


@dataclass(frozen=True)
class LayerFactory:
    """Builds the layers of one network.

    Attributes:
        operations: namespace of layer classes.
        device: of the weights.
        dtype: of the weights.
        attention: the function that attention layers call.
    """

    operations: Operations
    device: torch.device | str | None
    dtype: torch.dtype | None
    attention: Attention = sdpa

    def linear(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
        return self.operations.Linear(
            inputs, outputs, bias=bias, device=self.device, dtype=self.dtype
        )

    def conv1d(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> nn.Module:
        """A convolution that keeps the length, for an odd ``kernel``."""
        return self.operations.Conv1d(
            inputs,
            outputs,
            kernel,
            padding=kernel // 2,
            bias=bias,
            device=self.device,
            dtype=self.dtype,
        )

    def layer_norm(self, width: int, *, eps: float = 1e-5) -> nn.Module:
        return self.operations.LayerNorm(width, eps=eps, device=self.device, dtype=self.dtype)

    def parameter(self, *shape: int) -> nn.Parameter:
        """An uninitialized parameter that belongs to no layer; use it through ``cast_to``."""
        empty = torch.empty(shape, device=self.device, dtype=self.dtype)
        return nn.Parameter(empty, requires_grad=False)


def copy_to(tensor: Tensor, device: torch.device) -> Tensor:
    """A small tensor of main memory on ``device``, without waiting for a busy GPU.

    Only CUDA takes a copy of memory that is freed at once; elsewhere (Apple's MPS) what arrives may
    be what was written there since.
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def cast_to(parameter: Tensor, like: Tensor) -> Tensor:
    """``parameter`` on the device and in the dtype of ``like``."""
    return parameter.to(device=like.device, dtype=like.dtype)
