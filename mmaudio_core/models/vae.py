"""The latent autoencoder of mel spectrograms: 1-D, magnitude-preserving (EDM2, arXiv 2312.02696).

Its convolutions are stored unnormalised and used as ``w / rms(w) / sqrt(fan-in)``; the loader folds
that (``fold_weights``), so the layers here are plain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .ops import Operations, bare, cast
from .shapes import Shapes

_EPS = 1e-4
_CLAMP = 256.0
_RESIDUAL_SHARE = 0.3
_LEVELS = (1, 2, 4)  # widths of the levels, in units of the hidden width
_RESAMPLED = 1  # the level whose resolution is the latent's on one side, the mel's on the other
_DECODER_BLOCKS, _ENCODER_BLOCKS = 3, 2


@dataclass(frozen=True, kw_only=True)
class VAEParams:
    """Architecture of a VAE."""

    mels: int
    latent_dim: int
    hidden: int

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> VAEParams:
        """Read the architecture off a state dict's shapes.

        Raises:
            CheckpointError: a shape is missing or is not one this architecture has.
        """
        got = Shapes(network="VAE", shapes=shapes)
        hidden, mels, _ = got.of("encoder.conv_in.weight", None, None, 3)
        _, latent_dim, _ = got.of("decoder.conv_in.weight", hidden * _LEVELS[-1], None, 3)
        return cls(mels=mels, latent_dim=latent_dim, hidden=hidden)

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(self.hidden * level for level in _LEVELS)


def fold_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Normalise the stored convolutions and fold the two output gains into them, in float32."""
    folded: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if key.endswith("learnable_gain"):
            continue
        if not key.endswith(".weight"):
            folded[key] = tensor
            continue
        w = tensor.float()
        root = math.sqrt(w[0].numel())
        norm = w.square().sum(dim=(1, 2), keepdim=True).sqrt() / root
        w = w / (_EPS + norm) / root
        if key.endswith("conv_out.weight"):
            w = w * (1 + state[key.replace("conv_out.weight", "learnable_gain")].float())
        folded[key] = w
    return folded


def _silu(x: Tensor) -> Tensor:
    return F.silu(x) / 0.596


def _sum(a: Tensor, b: Tensor) -> Tensor:
    t = _RESIDUAL_SHARE
    return a.lerp(b, t) / math.sqrt((1 - t) ** 2 + t**2)


def _unit(x: Tensor, dim: int = 1) -> Tensor:
    mean_square = x.float().square().mean(dim=dim, keepdim=True)
    return x / (_EPS + mean_square.sqrt()).to(x.dtype)


class _Maker(NamedTuple):
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

    def __init__(self, make: _Maker, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = make.conv(inputs, outputs)
        self.conv2 = make.conv(outputs, outputs)
        self.nin_shortcut = make.conv(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        x = _unit(x)
        h = self.conv2(_silu(self.conv1(_silu(x))))
        return _sum(x if self.nin_shortcut is None else self.nin_shortcut(x), h)


class Attention(nn.Module):
    """One head of full width over the sequence: (B, C, L) -> (B, C, L)."""

    def __init__(self, make: _Maker, width: int) -> None:
        super().__init__()
        self.qkv = make.conv(width, 3 * width, 1)
        self.proj_out = make.conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        # published layout of the output channels: channel, then q, k, v interleaved
        q, k, v = (_unit(p).transpose(1, 2) for p in self.qkv(x).unflatten(1, (-1, 3)).unbind(2))
        h = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return _sum(x, self.proj_out(h.transpose(1, 2)))


class Middle(nn.Module):
    """Block, attention, block at the lowest level."""

    def __init__(self, make: _Maker, width: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(make, width, width)
        self.attn_1 = Attention(make, width)
        self.block_2 = ResidualBlock(make, width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x))).clamp(-_CLAMP, _CLAMP)


class Upsample(nn.Module):
    """Twice the length, by repetition and a convolution."""

    def __init__(self, make: _Maker, width: int) -> None:
        super().__init__()
        self.conv = make.conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest-exact"))


class Downsample(nn.Module):
    """Half the length, by averaging pairs between two pointwise convolutions."""

    def __init__(self, make: _Maker, width: int) -> None:
        super().__init__()
        self.conv1 = make.conv(width, width, 1)
        self.conv2 = make.conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.avg_pool1d(self.conv1(x), 2, 2))


class Level(nn.Module):
    """Residual blocks of one width, then perhaps a change of resolution."""

    def __init__(self, make: _Maker, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            [ResidualBlock(make, inputs if i == 0 else outputs, outputs) for i in range(blocks)]
        )
        self.upsample: nn.Module | None = None
        self.downsample: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x).clamp(-_CLAMP, _CLAMP)
        for resample in (self.upsample, self.downsample):
            if resample is not None:
                x = resample(x)
        return x


class Decoder(nn.Module):
    """Latents (B, latent_dim, N) to normalised mel (B, mels, 2N)."""

    def __init__(self, make: _Maker, params: VAEParams) -> None:
        super().__init__()
        widths = params.widths
        self.conv_in = make.conv(params.latent_dim, widths[-1])
        self.mid = Middle(make, widths[-1])
        above = (*widths[1:], widths[-1])
        self.up = nn.ModuleList(
            [Level(make, a, w, _DECODER_BLOCKS) for a, w in zip(above, widths, strict=True)]
        )
        self.up[_RESAMPLED].upsample = Upsample(make, widths[_RESAMPLED])
        self.conv_out = make.conv(widths[0], params.mels)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(_silu(x))


class Encoder(nn.Module):
    """Normalised mel (B, mels, 2N) to moments (B, 2 * latent_dim, N)."""

    def __init__(self, make: _Maker, params: VAEParams) -> None:
        super().__init__()
        widths = params.widths
        self.conv_in = make.conv(params.mels, widths[0])
        below = (widths[0], *widths[:-1])
        self.down = nn.ModuleList(
            [Level(make, b, w, _ENCODER_BLOCKS) for b, w in zip(below, widths, strict=True)]
        )
        self.down[_RESAMPLED - 1].downsample = Downsample(make, widths[_RESAMPLED - 1])
        self.mid = Middle(make, widths[-1])
        self.conv_out = make.conv(widths[-1], 2 * params.latent_dim)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.conv_in(mel)
        for level in self.down:
            x = level(x)
        return self.conv_out(_silu(self.mid(x)))


class VAE(nn.Module):
    """Encoder and decoder; attribute names are the published keys (after ``fold_weights``)."""

    def __init__(
        self,
        params: VAEParams,
        *,
        operations: Operations = nn,  # pyright: ignore[reportArgumentType]
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.params = params
        make = _Maker(operations, device, dtype)
        self.data_mean = bare(1, params.mels, 1, device=device, dtype=dtype)
        self.data_std = bare(1, params.mels, 1, device=device, dtype=dtype)
        self.encoder = Encoder(make, params)
        self.decoder = Decoder(make, params)

    def steps(self) -> list[nn.Module]:
        return [m for m in self.modules() if isinstance(m, ResidualBlock | Attention | Upsample)]

    def decode(self, z: Tensor) -> Tensor:
        """Latents (B, latent_dim, N) to log mel (B, mels, 2N)."""
        y = self.decoder(z)
        return y * cast(self.data_std, y) + cast(self.data_mean, y)

    def encode(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Log mel (B, mels, 2N) to mean and log variance, each (B, latent_dim, N)."""
        y = (mel - cast(self.data_mean, mel)) / cast(self.data_std, mel)
        mean, logvar = self.encoder(y).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)
