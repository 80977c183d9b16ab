"""Layers of the flow network: gated MLPs, modulation, projection to normalized q, k and v."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import LayerFactory
from ..rope import rotate

HEAD_WIDTH = 64


def linear_or_conv(
    make: LayerFactory, inputs: int, outputs: int, kernel: int | None, *, bias: bool = True
) -> nn.Module:
    """A Linear, or with a kernel size a Conv1d that keeps the length."""
    if kernel is None:
        return make.linear(inputs, outputs, bias=bias)
    return make.conv1d(inputs, outputs, kernel, bias=bias)


def apply_over_length(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a Linear or Conv1d to ``x`` (B, L, C), convolving over L."""
    if isinstance(layer, nn.Conv1d):
        return layer(x.transpose(1, 2)).transpose(1, 2)
    return layer(x)


def mlp_width(width: int) -> int:
    """Hidden width of a gated MLP: two thirds of 4 * width, rounded up to a multiple of 256."""
    return 256 * -(-int(2 * 4 * width / 3) // 256)


class GatedMLP(nn.Module):
    """``w2(silu(w1 x) * w3 x)`` on (B, L, C); with a kernel size its layers convolve over L.

    SwiGLU (Shazeer, arXiv 2002.05202).
    """

    def __init__(self, make: LayerFactory, width: int, kernel: int | None) -> None:
        super().__init__()
        hidden = mlp_width(width)
        self.w1 = linear_or_conv(make, width, hidden, kernel, bias=False)
        self.w2 = linear_or_conv(make, hidden, width, kernel, bias=False)
        self.w3 = linear_or_conv(make, width, hidden, kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.w1, nn.Conv1d):  # transpose once, not once per layer
            x = x.transpose(1, 2)
            return self.w2(F.silu(self.w1(x)) * self.w3(x)).transpose(1, 2)
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class NormScale(nn.Module):
    """The learned scale of a norm, one number per channel."""

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
    """Queries, keys and values of one stream; queries and keys are normalized and rotated."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.qkv = make.linear(width, 3 * width)
        self.q_norm = NormScale(make, HEAD_WIDTH)
        self.k_norm = NormScale(make, HEAD_WIDTH)

    def forward(self, x: Tensor, rotation: Tensor | None) -> QKV:
        """``rotation``: see ``rope.rotations``; None for a stream without positions."""
        # published layout of the output channels: head, channel, then q, k, v interleaved
        qkv = self.qkv(x).unflatten(-1, (-1, HEAD_WIDTH, 3)).permute(4, 0, 2, 1, 3)
        # a host short of memory may have left these scales on another device
        scales = torch.stack([norm.weight.to(x.device) for norm in (self.q_norm, self.k_norm)])
        qk = rms_norm(qkv[:2]) * scales.float()[:, None, None, None]
        q, k = (qk if rotation is None else rotate(qk, rotation)).to(x.dtype)
        return QKV(q, k, qkv[2])


class ConditionVectors(NamedTuple):
    """What modulates a stream: distinct vectors, and which of them each position uses.

    There are fewer vectors than positions, so the modulation is computed once per vector.

    Attributes:
        vectors: (R, D).
        indices: int64, (B, L) for one per position or (B, 1) for one per batch item.
    """

    vectors: Tensor
    indices: Tensor


class Modulation(nn.ModuleList):
    """Adaptive layer norm's ``Linear(silu(condition))``, split into equal chunks.

    Peebles & Xie (DiT), arXiv 2212.09748.
    """

    def __init__(self, make: LayerFactory, width: int, chunks: int) -> None:
        super().__init__([nn.SiLU(), make.linear(width, chunks * width)])
        self.chunks = chunks

    def forward(self, condition: ConditionVectors) -> tuple[Tensor, ...]:
        """``chunks`` tensors, each (B, L, D) or (B, 1, D)."""
        activation, projection = self
        out: Tensor = projection(activation(condition.vectors))
        return F.embedding(condition.indices, out).chunk(self.chunks, dim=-1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """``norm(x) * (1 + scale) + shift`` with a LayerNorm without weights (eps 1e-5)."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=1e-5), 1 + scale)


class TimeEmbedding(nn.Module):
    """Sinusoids of the time, in float32 whatever the dtype of the weights, then a two-layer MLP.

    Args:
        make: builds the layers.
        width: of the result.
        channels: of the sinusoids.
        scale: the time is multiplied by it.
    """

    def __init__(self, make: LayerFactory, width: int, *, channels: int, scale: float) -> None:
        super().__init__()
        self.channels = channels
        self.scale = scale
        self.mlp = nn.Sequential(make.linear(channels, width), nn.SiLU(), make.linear(width, width))

    def forward(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        """(B,) -> (B, width) in ``dtype``."""
        channel = torch.arange(0, self.channels, 2, dtype=torch.float32, device=t.device)
        angle = t.float()[:, None] * (self.scale / 10_000.0 ** (channel / self.channels))
        return self.mlp(torch.cat((angle.cos(), angle.sin()), dim=-1).to(dtype))
