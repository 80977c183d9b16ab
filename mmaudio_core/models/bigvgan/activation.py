"""Anti-aliased periodic activation (BigVGAN, arXiv 2206.04658; SnakeBeta).

A pointwise nonlinearity makes harmonics above the band; running it at twice the rate, between two
low-pass filters, keeps them from folding back. All of it is float32 whatever the weights are: the
filters' taps rounded to bfloat16 alone put the waveform 5% off.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import bare, cast

log = logging.getLogger(__name__)

TAPS = 12
REACH = TAPS // 2 - 1  # of the activation, in samples: 2.5 of either filter, at one rate
# On a CPU: samples that one product of matrices filters, and how many numbers are worked on at a
# time, so that they stay in a core's cache. Memory that is new for every operation costs more than
# the arithmetic does.
_SPAN = 16
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
    """SnakeBeta at twice the sample rate: (B, C, T) -> (B, C, T), computed in float32."""

    def __init__(
        self, channels: int, *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        self.act = SnakeBeta(channels, device=device, dtype=dtype)
        self.upsample = _Filter(device=device, dtype=dtype)
        self.downsample = _Downsample(device=device, dtype=dtype)

    def forward(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """``dtype``: of the result."""
        exact = torch.empty(0, dtype=torch.float32, device=x.device)
        filters = Filters(
            *self.act.scales(exact),
            raising=2 * cast(self.upsample.filter, exact),
            lowering=cast(self.downsample.lowpass.filter, exact),
        )
        if x.device.type == "cpu":
            return fir_matmul(x.float(), filters).to(dtype)
        kernel = fused_kernel(x.device)
        if kernel is not None:
            return kernel(x, *filters, dtype)
        return fir_convolution(x.float(), filters).to(dtype)


class Filters(NamedTuple):
    """What an activation computes with: see ``SnakeBeta.scales``; filters (1, 1, 12)."""

    frequency: Tensor
    magnitude: Tensor
    raising: Tensor
    lowering: Tensor


@cache
def fused_kernel(device: torch.device) -> Callable[..., Tensor] | None:
    """The activation as one kernel, where Triton compiles it and it makes what it should."""
    if device.type != "cuda":
        return None
    try:
        from ..kernels.snake_triton import activate

        x = torch.linspace(-1, 1, 96, device=device).view(1, 1, -1)
        scale = torch.ones(1, 1, device=device)
        taps = lowpass().to(device)
        filters = Filters(scale, scale, raising=2 * taps, lowering=taps)
        made = activate(x, *filters, torch.float32)
        if torch.allclose(made, fir_convolution(x, filters), atol=1e-2):
            return activate
        why = "it makes something else"
    except Exception as error:  # a compiler that is missing or fails says so in many ways
        why = f"{type(error).__name__}: {error}"
    log.info("vocoder: without the Triton kernel, slower (%s)", why)
    return None


def fir_convolution(x: Tensor, filters: Filters) -> Tensor:
    """The activation of (B, C, T), by a convolution of each channel."""
    channels = x.shape[1]
    padded = F.pad(x, (REACH, REACH), mode="replicate")
    made = _raised(padded, filters.raising.expand(channels, -1, -1))
    made.addcmul_((made * filters.frequency).sin_().square_(), filters.magnitude)
    made[..., :REACH] = made[..., REACH : REACH + 1]
    made[..., -REACH:] = made[..., -REACH - 1 : -REACH]
    return _lowered(made, filters.lowering.expand(channels, -1, -1))


def fir_matmul(x: Tensor, filters: Filters) -> Tensor:
    """The activation of (B, C, T), by products with matrices.

    A span of samples and its neighbours times a matrix is the filtered span. Most of the matrix is
    zero, and a CPU is still faster with it than with convolutions of single channels.
    """
    batch, channels, length = x.shape
    window = _SPAN + 2 * REACH
    raising = _raised(torch.eye(window)[:, None], filters.raising)[:, 0]
    lowering = _lowered(torch.eye(2 * _SPAN + 2 * REACH)[:, None], filters.lowering)[:, 0]
    out = x.new_empty(x.shape)
    step = max(1, _BLOCK // min(channels, _BLOCK_CHANNELS) // _SPAN) * _SPAN
    for item, first, start in itertools.product(
        range(batch), range(0, channels, _BLOCK_CHANNELS), range(0, length, step)
    ):
        some = slice(first, first + _BLOCK_CHANNELS)
        stop = min(start + step, length)
        given = _spans(x[item, some], start, stop)
        made = torch.mm(given.flatten(0, 1), raising).view(*given.shape[:2], -1)
        if start == 0:
            made[:, 0, :REACH] = made[:, 0, REACH : REACH + 1]
        for span in range(max(0, made.shape[1] - 2), made.shape[1]):
            end = REACH + 2 * (length - start - span * _SPAN)  # the last two may see past it
            made[:, span, end:] = made[:, span, end - 1 : end]
        wave = (made * filters.frequency[some, None]).sin_().square_()
        made.addcmul_(wave, filters.magnitude[some, None])
        lowered = torch.mm(made.flatten(0, 1), lowering).view(len(made), -1)
        out[item, some, start:stop] = lowered[:, : stop - start]
    return out


def _spans(x: Tensor, start: int, stop: int) -> Tensor:
    """Spans of (C, T) from ``start`` to ``stop`` or past it, with their neighbours: (C, n, 26).

    Before the first and after the last sample, it goes on.
    """
    count = -(-(stop - start) // _SPAN)
    padded = x.new_empty(len(x), count * _SPAN + 2 * REACH)
    begin, end = max(0, start - REACH), min(x.shape[1], start + count * _SPAN + REACH)
    before, after = begin - start + REACH, end - start + REACH
    padded[:, before:after] = x[:, begin:end]
    padded[:, :before], padded[:, after:] = x[:, :1], x[:, -1:]
    return padded.unfold(-1, _SPAN + 2 * REACH, _SPAN).contiguous()


def _raised(x: Tensor, taps: Tensor) -> Tensor:
    """(B, C, T + 10) with 5 neighbours at either end -> (B, C, 2 T + 10), again with 5."""
    return F.conv_transpose1d(x, taps, stride=2, groups=x.shape[1])[..., 10:-10]


def _lowered(x: Tensor, taps: Tensor) -> Tensor:
    """(B, C, 2 T + 10) with 5 neighbours at either end -> (B, C, T)."""
    return F.conv1d(x, taps, stride=2, groups=x.shape[1])
