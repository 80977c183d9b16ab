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

from .ops import bare, cast

TAPS = 12
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
    """``x + sin^2(x e^alpha) / (e^beta + 1e-9)``, a frequency and a magnitude a channel."""

    def __init__(
        self, channels: int, *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        self.alpha = bare(channels, device=device, dtype=dtype)
        self.beta = bare(channels, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        alpha = cast(self.alpha, x).exp()[:, None]
        magnitude = 1.0 / (cast(self.beta, x).exp()[:, None] + 1e-9)
        return torch.addcmul(x, torch.sin(x * alpha).square_(), magnitude)


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
        x, channels = x.float(), x.shape[1]
        up = cast(self.upsample.filter, x).expand(channels, 1, TAPS)
        down = cast(self.downsample.lowpass.filter, x).expand(channels, 1, TAPS)
        x = F.pad(x, (5, 5), mode="replicate")
        x = 2 * F.conv_transpose1d(x, up, stride=2, groups=channels)[..., 15:-15]
        x = F.pad(self.act(x), (5, 6), mode="replicate")
        return F.conv1d(x, down, stride=2, groups=channels)
