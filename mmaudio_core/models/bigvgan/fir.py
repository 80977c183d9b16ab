"""The anti-aliased activation's arithmetic: upsample, apply the nonlinearity, downsample.

Two implementations with the same result: by convolutions, and by matrix products, which are faster
on a CPU.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = 12
# Samples on one side that an activation sees: 2.5 for each of its two filters.
ACTIVATION_RADIUS = TAPS // 2 - 1
_CUTOFF, _HALF_WIDTH = 0.25, 0.3  # of the filter, in units of the doubled sample rate
# For a CPU: samples that one matrix product filters, and how many numbers are processed at a time,
# so that they stay in a core's cache: allocating for every operation costs more than arithmetic.
_SPAN = 16
_BLOCK, _BLOCK_CHANNELS = 1 << 18, 48


def lowpass_filter() -> Tensor:
    """The published filter, for files that store it rounded: (1, 1, 12) float32.

    A sinc with a Kaiser window whose shape follows from the half-width (Kaiser & Schafer, 1980).
    """
    attenuation = 2.285 * (TAPS // 2 - 1) * math.pi * 4 * _HALF_WIDTH + 7.95  # dB
    shape = 0.1102 * (attenuation - 8.7)
    window = torch.kaiser_window(TAPS, periodic=False, beta=shape, dtype=torch.float64)
    time = torch.arange(TAPS, dtype=torch.float64) - TAPS / 2 + 0.5
    taps = window * torch.sinc(2 * _CUTOFF * time)
    return (taps / taps.sum()).float().view(1, 1, TAPS)


class ActivationParams(NamedTuple):
    """Float32 parameters of an activation with C channels.

    Attributes:
        frequency: (C, 1).
        magnitude: (C, 1).
        up_filter: (1, 1, 12), scaled by 2 to make up for the zeros between samples.
        down_filter: (1, 1, 12).
    """

    frequency: Tensor
    magnitude: Tensor
    up_filter: Tensor
    down_filter: Tensor


def fir_convolution(x: Tensor, params: ActivationParams) -> Tensor:
    """The activation of (B, C, T), with one convolution per channel."""
    channels = x.shape[1]
    radius = ACTIVATION_RADIUS
    padded = F.pad(x, (radius, radius), mode="replicate")
    wave = _upsampled(padded, params.up_filter.expand(channels, -1, -1))
    wave.addcmul_((wave * params.frequency).sin_().square_(), params.magnitude)
    wave[..., :radius] = wave[..., radius : radius + 1]
    wave[..., -radius:] = wave[..., -radius - 1 : -radius]
    return _downsampled(wave, params.down_filter.expand(channels, -1, -1))


def fir_matmul(x: Tensor, params: ActivationParams) -> Tensor:
    """The activation of (B, C, T), with matrix products.

    A span of samples with its neighbors, times a matrix, is the filtered span. Most of the matrix
    is zero, but on a CPU this is still faster than convolutions of single channels.
    """
    batch, channels, length = x.shape
    radius = ACTIVATION_RADIUS
    up_matrix = _upsampled(torch.eye(_SPAN + 2 * radius)[:, None], params.up_filter)[:, 0]
    down_matrix = _downsampled(torch.eye(2 * _SPAN + 2 * radius)[:, None], params.down_filter)[:, 0]
    out = x.new_empty(x.shape)
    step = max(1, _BLOCK // min(channels, _BLOCK_CHANNELS) // _SPAN) * _SPAN
    for item, first, start in itertools.product(
        range(batch), range(0, channels, _BLOCK_CHANNELS), range(0, length, step)
    ):
        block = slice(first, first + _BLOCK_CHANNELS)
        stop = min(start + step, length)
        spans = _spans(x[item, block], start, stop)
        wave = torch.mm(spans.flatten(0, 1), up_matrix).view(*spans.shape[:2], -1)
        if start == 0:
            wave[:, 0, :radius] = wave[:, 0, radius : radius + 1]
        for span in range(max(0, wave.shape[1] - 2), wave.shape[1]):
            end = radius + 2 * (length - start - span * _SPAN)  # the last two may extend past it
            wave[:, span, end:] = wave[:, span, end - 1 : end]
        sine = (wave * params.frequency[block, None]).sin_()
        wave.addcmul_(sine.square_(), params.magnitude[block, None])
        filtered = torch.mm(wave.flatten(0, 1), down_matrix).view(len(wave), -1)
        out[item, block, start:stop] = filtered[:, : stop - start]
    return out


def _spans(x: Tensor, start: int, stop: int) -> Tensor:
    """Spans of (C, T) that cover ``start`` to ``stop``, with their neighbors: (C, n, 26).

    The first and the last sample are repeated outside.
    """
    radius = ACTIVATION_RADIUS
    count = -(-(stop - start) // _SPAN)
    padded = x.new_empty(len(x), count * _SPAN + 2 * radius)
    begin, end = max(0, start - radius), min(x.shape[1], start + count * _SPAN + radius)
    before, after = begin - start + radius, end - start + radius
    padded[:, before:after] = x[:, begin:end]
    padded[:, :before], padded[:, after:] = x[:, :1], x[:, -1:]
    return padded.unfold(-1, _SPAN + 2 * radius, _SPAN).contiguous()


def _upsampled(x: Tensor, taps: Tensor) -> Tensor:
    """(B, C, T + 10) with 5 neighbors at either end -> (B, C, 2 T + 10), again with 5."""
    return F.conv_transpose1d(x, taps, stride=2, groups=x.shape[1])[..., 10:-10]


def _downsampled(x: Tensor, taps: Tensor) -> Tensor:
    """(B, C, 2 T + 10) with 5 neighbors at either end -> (B, C, T)."""
    return F.conv1d(x, taps, stride=2, groups=x.shape[1])
