"""Magnitude-preserving layers of the VAE on (B, C, L), whose weights are already folded."""

from __future__ import annotations

import math
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from ..chunked import LocalOp
from ..ops import LayerFactory

EPS = 1e-4
_CLAMP = 256.0
_RESIDUAL_WEIGHT = 0.3
_SILU_GAIN = 0.596  # root mean square of silu(x) for standard normal x
_BLOCK_RADIUS = 2  # of a residual block: two convolutions with three taps

KeysValues = tuple[Tensor, Tensor]  # keys and values, each (B, L, C)


def silu(x: Tensor) -> Tensor:
    return F.silu(x) / _SILU_GAIN


def _conv(make: LayerFactory, inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
    return make.conv1d(inputs, outputs, kernel, bias=False)


def _sum(a: Tensor, b: Tensor) -> Tensor:
    t = _RESIDUAL_WEIGHT
    return a.lerp(b, t) / math.sqrt((1 - t) ** 2 + t**2)


def _unit(x: Tensor) -> Tensor:
    """Normalize the channels of (B, C, L) to a root mean square of 1."""
    mean_square = x.float().square().mean(dim=1, keepdim=True)
    return x / (EPS + mean_square.sqrt()).to(x.dtype)


class ResidualBlock(nn.Module):
    """(B, C, L) -> (B, C', L)."""

    def __init__(self, make: LayerFactory, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = _conv(make, inputs, outputs)
        self.conv2 = _conv(make, outputs, outputs)
        self.nin_shortcut = _conv(make, inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        x = _unit(x)
        h = self.conv2(silu(self.conv1(silu(x))))
        return _sum(x if self.nin_shortcut is None else self.nin_shortcut(x), h)


class AttentionBlock(nn.Module):
    """Attention over the sequence with one head of full width: (B, C, L) -> (B, C, L)."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.attention = make.attention
        self.qkv = _conv(make, width, 3 * width, 1)
        self.proj_out = _conv(make, width, width, 1)

    def forward(self, x: Tensor, context: KeysValues | None = None) -> Tensor:
        """``context``: keys and values to attend to; by default those of ``x`` itself."""
        q, k, v = self._project(x)
        if context is not None:
            k, v = context
        h = self.attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return _sum(x, self.proj_out(h.transpose(1, 2)))

    def keys_values(self, x: Tensor) -> KeysValues:
        """(B, C, L) -> keys and values, each (B, L, C)."""
        _, k, v = self._project(x)
        return k, v

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # published layout of the output channels: channel, then q, k, v interleaved; contiguous,
        # because with other layouts attention materializes all its scores
        parts = self.qkv(x).unflatten(1, (-1, 3)).unbind(2)
        q, k, v = (_unit(p).transpose(1, 2).contiguous() for p in parts)
        return q, k, v


def _clamped(block: nn.Module, x: Tensor) -> Tensor:
    return block(x).clamp(-_CLAMP, _CLAMP)


class Middle(nn.Module):
    """Block, attention, block at the lowest level."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(make, width, width)
        self.attn_1 = AttentionBlock(make, width)
        self.block_2 = ResidualBlock(make, width, width)

    def op_before_attention(self) -> LocalOp:
        return LocalOp(run=self.block_1, radius=_BLOCK_RADIUS)

    def ops_from_attention(self, context: KeysValues | None = None) -> list[LocalOp]:
        """The attention, which is local once ``context`` is given, and what follows it."""
        return [
            LocalOp(run=lambda x: self.attn_1(x, context)),
            LocalOp(run=partial(_clamped, self.block_2), radius=_BLOCK_RADIUS),
        ]


class Upsample(nn.Module):
    """Doubles the length by repetition and a convolution."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.conv = _conv(make, width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest-exact"))


class Downsample(nn.Module):
    """Halves the length by averaging pairs between two pointwise convolutions."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.conv1 = _conv(make, width, width, 1)
        self.conv2 = _conv(make, width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.avg_pool1d(self.conv1(x), 2, 2))


class Level(nn.Module):
    """Residual blocks of one width, optionally followed by a change of resolution."""

    def __init__(
        self,
        make: LayerFactory,
        inputs: int,
        outputs: int,
        *,
        blocks: int,
        upsample: bool = False,
        downsample: bool = False,
    ) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            [ResidualBlock(make, inputs if i == 0 else outputs, outputs) for i in range(blocks)]
        )
        self.upsample = Upsample(make, outputs) if upsample else None
        self.downsample = Downsample(make, outputs) if downsample else None

    def ops(self) -> list[LocalOp]:
        ops = [LocalOp(run=partial(_clamped, b), radius=_BLOCK_RADIUS) for b in self.block]
        if self.upsample is not None:
            ops.append(LocalOp(run=self.upsample, up=2, radius=1))
        if self.downsample is not None:
            ops.append(LocalOp(run=self.downsample, down=2))
        return ops
