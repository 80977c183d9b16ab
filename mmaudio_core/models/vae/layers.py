"""Layers of the VAE: magnitude-preserving blocks over (B, C, L); their weights come folded."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..chunked import LocalOp
from ..ops import Operations

EPS = 1e-4
_CLAMP = 256.0
_RESIDUAL_SHARE = 0.3
_BLOCK_REACH = 2  # of a residual block: two convolutions of three taps


KeysValues = tuple[Tensor, Tensor]  # keys and values, each (B, L, C)


def silu(x: Tensor) -> Tensor:
    return F.silu(x) / 0.596


def _sum(a: Tensor, b: Tensor) -> Tensor:
    t = _RESIDUAL_SHARE
    return a.lerp(b, t) / math.sqrt((1 - t) ** 2 + t**2)


def _unit(x: Tensor, dim: int = 1) -> Tensor:
    mean_square = x.float().square().mean(dim=dim, keepdim=True)
    return x / (EPS + mean_square.sqrt()).to(x.dtype)


class LayerFactory(NamedTuple):
    operations: Operations
    device: torch.device | str | None
    dtype: torch.dtype | None

    def conv(self, inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
        return self.operations.Conv1d(
            inputs,
            outputs,
            kernel,
            padding=kernel // 2,
            bias=False,
            device=self.device,
            dtype=self.dtype,
        )


class ResidualBlock(nn.Module):
    """(B, C, L) -> (B, C', L)."""

    def __init__(self, make: LayerFactory, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = make.conv(inputs, outputs)
        self.conv2 = make.conv(outputs, outputs)
        self.nin_shortcut = make.conv(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        x = _unit(x)
        h = self.conv2(silu(self.conv1(silu(x))))
        return _sum(x if self.nin_shortcut is None else self.nin_shortcut(x), h)


class Attention(nn.Module):
    """One head of full width over the sequence: (B, C, L) -> (B, C, L)."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.width = width
        self.qkv = make.conv(width, 3 * width, 1)
        self.proj_out = make.conv(width, width, 1)

    def forward(self, x: Tensor, seen: KeysValues | None = None) -> Tensor:
        """``seen``: keys and values (B, L', C) of more, where ``x`` is a piece of it."""
        q, k, v = self._project(x)
        k, v = (k, v) if seen is None else seen
        h = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return _sum(x, self.proj_out(h.transpose(1, 2)))

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, L) -> keys and values, each (B, L, C)."""
        return self._project(x)[1:]

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # published layout of the output channels: channel, then q, k, v interleaved; contiguous,
        # because other layouts make attention hold all its scores
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
        self.attn_1 = Attention(make, width)
        self.block_2 = ResidualBlock(make, width, width)

    def parts(self, seen: KeysValues | None = None) -> list[LocalOp]:
        """As steps that are local, given ``seen``: keys and values that the attention sees."""
        return [
            LocalOp(run=self.block_1, reach=_BLOCK_REACH),
            LocalOp(run=lambda x: self.attn_1(x, seen)),
            LocalOp(run=partial(_clamped, self.block_2), reach=_BLOCK_REACH),
        ]


class Upsample(nn.Module):
    """Twice the length, by repetition and a convolution."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.conv = make.conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest-exact"))


class Downsample(nn.Module):
    """Half the length, by averaging pairs between two pointwise convolutions."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.conv1 = make.conv(width, width, 1)
        self.conv2 = make.conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.avg_pool1d(self.conv1(x), 2, 2))


class Level(nn.Module):
    """Residual blocks of one width, then perhaps a change of resolution."""

    def __init__(self, make: LayerFactory, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            [ResidualBlock(make, inputs if i == 0 else outputs, outputs) for i in range(blocks)]
        )
        self.upsample: nn.Module | None = None
        self.downsample: nn.Module | None = None

    def parts(self) -> list[LocalOp]:
        """As steps that are local."""
        blocks = [LocalOp(run=partial(_clamped, b), reach=_BLOCK_REACH) for b in self.block]
        if self.upsample is not None:
            return [*blocks, LocalOp(run=self.upsample, up=2, reach=1)]
        if self.downsample is not None:
            return [*blocks, LocalOp(run=self.downsample, down=2)]
        return blocks
