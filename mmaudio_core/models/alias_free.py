"""Anti-aliased periodic activation (BigVGAN, arXiv 2206.04658; SnakeBeta).

A pointwise nonlinearity makes harmonics above the band; running it at twice the rate, between two
low-pass filters, keeps them from folding back. All of it is float32 whatever the weights are: the
filters' taps rounded to bfloat16 alone put the waveform 5% off.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..chunks import spans
from .ops import bare, cast

TAPS = 12
REACH = TAPS // 2 - 1  # of the activation, in samples: 2.5 of either filter, at one rate
# What a CPU works on at a time: so much that it stays in a core's cache, and channels to fill its
# vectors. Memory that is new for every operation costs more than the arithmetic does.
_BLOCK, _BLOCK_CHANNELS = 1 << 18, 48
_CUTOFF, _HALF_WIDTH = 0.25, 0.3  # of the sample rate


def lowpass() -> Tensor:
    """The published filter, for files that store it rounded: (1, 1, 12), float32.

    A sinc under a Kaiser window whose shape follows from the half-width (Kaiser & Schafer, 1980).
    """
    attenuation = 2.285 * (TAPS // 2 - 1) * math.pi * 4 * _HALF_WIDTH + 7.95  # dB
    shape = 0.1102 * (attenuation - 8.7)
    window = torch.kaiser_window(TAPS, periodic=False, beta=shape, dtype=torch.float64)
    time = torch.arange(TAPS, dtype=torch.float64) - TAPS / 2 + 0.5
    taps = window * torch.sinc(2 * _CUTOFF * time)
    return (taps / taps.sum()).float().view(1, 1, TAPS)


class SnakeBeta(nn.Module):
    """Holds the logarithms of a frequency and of what divides the magnitude, one a channel."""

    def __init__(
        self, channels: int, *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        self.alpha = bare(channels, device=device, dtype=dtype)
        self.beta = bare(channels, device=device, dtype=dtype)

    def scales(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Frequency ``e^alpha`` and magnitude ``1 / (e^beta + 1e-9)``, each (C, 1)."""
        frequency = cast(self.alpha, like).exp()[:, None]
        return frequency, 1.0 / (cast(self.beta, like).exp()[:, None] + 1e-9)


class _Filter(nn.Module):
    """Holds the published low-pass filter, (1, 1, 12)."""

    def __init__(self, *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.filter = bare(1, 1, TAPS, device=device, dtype=dtype)


class _Downsample(nn.Module):
    def __init__(self, *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.lowpass = _Filter(device=device, dtype=dtype)


class AliasFreeActivation(nn.Module):
    """SnakeBeta at twice the sample rate: (B, C, T) -> (B, C, T), float32."""

    def __init__(
        self, channels: int, *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        self.act = SnakeBeta(channels, device=device, dtype=dtype)
        self.upsample = _Filter(device=device, dtype=dtype)
        self.downsample = _Downsample(device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        length = x.shape[-1]
        frequency, magnitude = self.act.scales(x)
        up = 2 * cast(self.upsample.filter, x).repeat(x.shape[1], 1, 1)
        down = cast(self.downsample.lowpass.filter, x).repeat(x.shape[1], 1, 1)
        padded = x.new_empty(*x.shape[:-1], length + 2 * REACH)
        padded[..., REACH:-REACH] = x
        padded[..., :REACH] = x[..., :1]
        padded[..., -REACH:] = x[..., -1:]
        out = torch.empty_like(x)
        channels, times = _block(x)
        for c in range(0, x.shape[1], channels):
            some = slice(c, c + channels)
            for start, stop in spans(length, times):
                made = _raised(padded[:, some, start : stop + 2 * REACH], up[some])
                wave = (made * frequency[some]).sin_().square_()
                made.addcmul_(wave, magnitude[some])
                if start == 0:
                    made[..., :REACH] = made[..., REACH : REACH + 1]
                if stop == length:
                    made[..., -REACH:] = made[..., -REACH - 1 : -REACH]
                out[:, some, start:stop] = _lowered(made, down[some])
        return out


def _raised(x: Tensor, taps: Tensor) -> Tensor:
    """(B, C, T + 10) with 5 neighbours at either end -> (B, C, 2 T + 10), again with 5."""
    return F.conv_transpose1d(x, taps, stride=2, groups=x.shape[1])[..., 10:-10]


def _lowered(x: Tensor, taps: Tensor) -> Tensor:
    """(B, C, 2 T + 10) with 5 neighbours at either end -> (B, C, T)."""
    return F.conv1d(x, taps, stride=2, groups=x.shape[1])


def _block(x: Tensor) -> tuple[int, int]:
    """Channels and samples of (B, C, T) to work on at a time."""
    batch, channels, length = x.shape
    if x.device.type != "cpu":
        return channels, length
    channels = min(channels, _BLOCK_CHANNELS)
    times = _BLOCK * torch.get_num_threads() // (batch * channels)
    return channels, max(times, 4 * REACH)  # only the first and the last may reach past an end
