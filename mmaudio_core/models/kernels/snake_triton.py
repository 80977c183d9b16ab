"""The vocoder's anti-aliased activation as one Triton kernel.

The signal at twice the sample rate exists only in registers. Triton is installed with torch's CUDA
and ROCm builds on Linux.
"""

# pyright: reportMissingTypeStubs=false, reportGeneralTypeIssues=false, reportCallIssue=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_OUTPUTS = tl.constexpr(8)  # per thread, which also computes 10 oversampled values of its neighbors
_THREADS = tl.constexpr(128)


@triton.jit
def _load_samples(x_row, first, length, count: tl.constexpr):
    """``count`` samples from ``first`` on; the first and the last sample are repeated outside."""
    samples = ()
    for i in tl.static_range(count):
        at = tl.minimum(tl.maximum(first + i, 0), length - 1)
        samples += (tl.load(x_row + at).to(tl.float32),)
    return samples


@triton.jit
def _upsampled(samples, newest: tl.constexpr, taps, first_tap: tl.constexpr):
    """One value at twice the rate: every other tap from ``first_tap`` on, newest sample first."""
    total = samples[newest] * tl.load(taps + first_tap)
    for i in tl.static_range(1, 6):
        total += samples[newest - i] * tl.load(taps + first_tap + 2 * i)
    return total


@triton.jit
def _downsampled(wave, first: tl.constexpr, taps):
    total = wave[first] * tl.load(taps)
    for i in tl.static_range(1, 12):
        total += wave[first + i] * tl.load(taps + i)
    return total


@triton.jit
def _kernel(x, out, frequencies, magnitudes, up_taps, down_taps, channels, length):
    """Computes ``_OUTPUTS * _THREADS`` outputs of one row of (B * C, T)."""
    row = tl.program_id(0).to(tl.int64)
    frequency = tl.load(frequencies + row % channels)
    magnitude = tl.load(magnitudes + row % channels)
    x += row * length
    out += row * length
    before = _upsampled(_load_samples(x, -3, length, 6), 5, up_taps, 1)
    after = _upsampled(_load_samples(x, length - 3, length, 6), 5, up_taps, 0)

    first = (tl.program_id(1) * _THREADS + tl.arange(0, _THREADS)) * _OUTPUTS
    samples = _load_samples(x, first - 5, length, _OUTPUTS + 10)
    wave = ()  # at twice the rate, from 5 values before the first output on
    for i in tl.static_range(2 * _OUTPUTS + 10):
        at = 2 * first + i - 5  # odd if i is even
        value = _upsampled(samples, (i + 5) // 2 + 2 + (i + 1) % 2, up_taps, i % 2)
        value = tl.where(at < 0, before, tl.where(at >= 2 * length, after, value))
        sine = tl.sin(value * frequency)
        wave += (value + magnitude * (sine * sine),)

    # Interleave a thread's outputs so that it stores them with few instructions.
    pairs = ()
    for i in tl.static_range(4):
        low = _downsampled(wave, 2 * i, down_taps)
        pairs += (tl.join(low, _downsampled(wave, 2 * i + 8, down_taps)),)
    halves = tl.join(tl.join(pairs[0], pairs[2]), tl.join(pairs[1], pairs[3]))
    value = tl.reshape(halves, (_THREADS, _OUTPUTS))
    at = first[:, None] + tl.arange(0, _OUTPUTS)[None, :]
    tl.store(out + at, value.to(out.dtype.element_ty), mask=at < length)


def activate(
    x: Tensor,
    frequency: Tensor,
    magnitude: Tensor,
    up_filter: Tensor,
    down_filter: Tensor,
    dtype: torch.dtype,
) -> Tensor:
    """The activation of ``x``, computed in float32.

    Args:
        x: (B, C, T), on a device that Triton compiles for.
        frequency, magnitude: (C, 1) float32, see ``SnakeBeta.scales``.
        up_filter, down_filter: (1, 1, 12) float32; ``up_filter`` is scaled by 2.
        dtype: of the result.

    Returns:
        (B, C, T) in ``dtype``.
    """
    batch, channels, length = x.shape
    out = torch.empty(x.shape, dtype=dtype, device=x.device)
    grid = (batch * channels, triton.cdiv(length, _OUTPUTS.value * _THREADS.value))
    operands = (t.contiguous() for t in (frequency, magnitude, up_filter, down_filter))
    with torch.cuda.device_of(x):
        _kernel[grid](x.contiguous(), out, *operands, channels, length, num_warps=4)
    return out
