"""Building blocks of the flow network: gated MLPs, modulation, QK-normalised attention."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..kernels.winograd import winograd_conv1d
from ..ops import Operations, bare
from ..rope import rotate

HEAD_WIDTH = 64


def apply_over_length(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a Linear or Conv1d to ``x`` (B, L, C), convolving over L."""
    if isinstance(layer, nn.Conv1d):
        return layer(x.transpose(1, 2)).transpose(1, 2)
    return layer(x)


def mlp_width(width: int) -> int:
    """Hidden width of a gated MLP: two thirds of 4 * width, rounded up to 256."""
    return 256 * -(-int(2 * 4 * width / 3) // 256)


class LayerFactory(NamedTuple):
    """Where and of what kind a network's layers are made."""

    operations: Operations
    device: torch.device | str | None
    dtype: torch.dtype | None

    def layer(
        self, inputs: int, outputs: int, kernel: int | None, *, bias: bool = True
    ) -> nn.Module:
        """Linear, or with a kernel size a same-padded Conv1d."""
        if kernel is None:
            return self.operations.Linear(
                inputs, outputs, bias=bias, device=self.device, dtype=self.dtype
            )
        return winograd_conv1d(self.operations.Conv1d)(
            inputs,
            outputs,
            kernel,
            padding=kernel // 2,
            bias=bias,
            device=self.device,
            dtype=self.dtype,
        )

    def mlp(self, width: int, kernel: int | None) -> GatedMLP:
        return GatedMLP(self, width, kernel)

    def parameter(self, *shape: int) -> nn.Parameter:
        return bare(*shape, device=self.device, dtype=self.dtype)


class GatedMLP(nn.Module):
    """``w2(silu(w1 x) * w3 x)`` on (B, L, C); with a kernel size its layers convolve over L."""

    def __init__(self, make: LayerFactory, width: int, kernel: int | None) -> None:
        super().__init__()
        hidden = mlp_width(width)
        self.w1 = make.layer(width, hidden, kernel, bias=False)
        self.w2 = make.layer(hidden, width, kernel, bias=False)
        self.w3 = make.layer(width, hidden, kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.w1, nn.Conv1d):  # one transposition in, one out
            x = x.transpose(1, 2)
            return self.w2(F.silu(self.w1(x)) * self.w3(x)).transpose(1, 2)
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Scale(nn.Module):
    """Holds what a norm's result is multiplied by, one number a channel."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.weight = make.parameter(width)


def rms_norm(x: Tensor) -> Tensor:
    """Root-mean-square norm of the last dimension, computed and returned in float32."""
    exact = x.to(torch.float32, memory_format=torch.contiguous_format)
    return F.rms_norm(exact, x.shape[-1:], eps=torch.finfo(torch.float32).eps)


class QKV(NamedTuple):
    """Query, key and value, each (B, heads, L, 64)."""

    q: Tensor
    k: Tensor
    v: Tensor


class QKVProjection(nn.Module):
    """Makes normalised, rotated queries, keys and values of one stream."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.qkv = make.layer(width, 3 * width, None)
        self.q_norm = Scale(make, HEAD_WIDTH)
        self.k_norm = Scale(make, HEAD_WIDTH)

    def forward(self, x: Tensor, rotation: Tensor | None) -> QKV:
        # published layout of the output channels: head, channel, then q, k, v interleaved
        qkv = self.qkv(x).unflatten(-1, (-1, HEAD_WIDTH, 3)).permute(4, 0, 2, 1, 3)
        # a host that is short of memory may have put one of them elsewhere
        scales = torch.stack([norm.weight.to(x.device) for norm in (self.q_norm, self.k_norm)])
        both = rms_norm(qkv[:2]) * scales.float()[:, None, None, None]
        q, k = (both if rotation is None else rotate(both, rotation)).to(x.dtype)
        return QKV(q, k, qkv[2])


def attend(qkv: QKV) -> Tensor:
    """Softmax attention, scale 1/8: (B, heads, L, 64) -> (B, L, heads * 64)."""
    out = F.scaled_dot_product_attention(qkv.q, qkv.k, qkv.v.contiguous())
    return out.transpose(1, 2).flatten(2)


class Condition(NamedTuple):
    """What modulates a stream: rows (R, D), and for each position (B, L) or item (B, 1) its row.

    There are fewer rows than positions, so the modulation is computed once a row and then spread.
    """

    rows: Tensor
    spread: Tensor


class Modulation(nn.Module):
    """adaLN: ``Linear(silu(condition))`` in equal chunks, one row a position (or one for all)."""

    def __init__(self, make: LayerFactory, width: int, chunks: int) -> None:
        super().__init__()
        self.chunks = chunks
        self.add_module("1", make.layer(width, chunks * width, None))

    def forward(self, condition: Condition) -> tuple[Tensor, ...]:
        out = self.get_submodule("1")(F.silu(condition.rows))
        return F.embedding(condition.spread, out).chunk(self.chunks, dim=-1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """``norm(x) * (1 + scale) + shift`` with a LayerNorm without weights (eps 1e-5)."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=1e-5), 1 + scale)
