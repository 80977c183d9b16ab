"""Anti-aliased periodic activation (SnakeBeta; BigVGAN, Lee et al., arXiv 2206.04658).

A pointwise nonlinearity creates harmonics above the band; running it at twice the sample rate,
between two low-pass filters, keeps them from aliasing. All of it is float32 whatever the dtype of
the weights: rounding the filters' taps to bfloat16 alone changes the waveform by 5%.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from ..ops import LayerFactory, cast_to
from .fir import TAPS, ActivationParams, fir_convolution, fir_matmul, lowpass_filter

log = logging.getLogger(__name__)

TRITON_VARIABLE = "MMAUDIO_TRITON"


class SnakeBeta(nn.Module):
    """Logarithms of a frequency and of the magnitude's divisor, one of each per channel."""

    def __init__(self, make: LayerFactory, channels: int) -> None:
        super().__init__()
        self.alpha = make.parameter(channels)
        self.beta = make.parameter(channels)

    def scales(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Frequency ``e^alpha`` and magnitude ``1 / (e^beta + 1e-9)``, each (C, 1)."""
        frequency = cast_to(self.alpha, like).exp()[:, None]
        return frequency, 1.0 / (cast_to(self.beta, like).exp()[:, None] + 1e-9)


class _Filter(nn.Module):
    """The published low-pass filter, (1, 1, 12)."""

    def __init__(self, make: LayerFactory) -> None:
        super().__init__()
        self.filter = make.parameter(1, 1, TAPS)


class _Downsample(nn.Module):
    def __init__(self, make: LayerFactory) -> None:
        super().__init__()
        self.lowpass = _Filter(make)


class AntiAliasedActivation(nn.Module):
    """SnakeBeta at twice the sample rate: (B, C, T) -> (B, C, T), computed in float32."""

    def __init__(self, make: LayerFactory, channels: int) -> None:
        super().__init__()
        self.act = SnakeBeta(make, channels)
        self.upsample = _Filter(make)
        self.downsample = _Downsample(make)

    def forward(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """``dtype``: of the result."""
        exact = torch.empty(0, dtype=torch.float32, device=x.device)
        frequency, magnitude = self.act.scales(exact)
        params = ActivationParams(
            frequency,
            magnitude,
            up_filter=2 * cast_to(self.upsample.filter, exact),
            down_filter=cast_to(self.downsample.lowpass.filter, exact),
        )
        if x.device.type == "cpu":
            return fir_matmul(x.float(), params).to(dtype)
        kernel = fused_kernel(x.device)
        if kernel is not None:
            return kernel(x, *params, dtype)
        return fir_convolution(x.float(), params).to(dtype)


def fused_kernel(device: torch.device) -> Callable[..., Tensor] | None:
    """Fused Triton kernel if it compiles and passes its self-check, else None.

    Off by default: its speed has not been measured on any GPU. The environment variable
    ``MMAUDIO_TRITON=1`` turns it on, for CUDA and ROCm.
    """
    if device.type != "cuda" or os.environ.get(TRITON_VARIABLE) != "1":
        return None
    return checked_kernel(device)


@cache
def checked_kernel(device: torch.device) -> Callable[..., Tensor] | None:
    """The Triton kernel if it compiles for ``device`` and agrees with ``fir_convolution``."""
    try:
        from ..kernels.snake_triton import activate

        x = torch.linspace(-1, 1, 96, device=device).view(1, 1, -1)
        scale = torch.ones(1, 1, device=device)
        taps = lowpass_filter().to(device)
        params = ActivationParams(scale, scale, up_filter=2 * taps, down_filter=taps)
        if torch.allclose(
            activate(x, *params, torch.float32), fir_convolution(x, params), atol=1e-2
        ):
            return activate
        reason = "its result differs from that of the convolutions"
    except Exception as error:  # a missing or failing compiler raises all kinds of errors
        reason = f"{type(error).__name__}: {error}"
    log.warning("The vocoder runs without the Triton kernel: %s", reason)
    return None
