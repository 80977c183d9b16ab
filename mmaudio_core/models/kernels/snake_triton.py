"""The alias-free activation as one kernel: what is made at twice the rate stays in registers.

Written with Triton, which comes with torch where there is CUDA or ROCm on Linux; ``alias_free``
does without it elsewhere.
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

_EACH = tl.constexpr(8)  # outputs a thread makes; 10 values at twice the rate are made again
_THREADS = tl.constexpr(128)


@triton.jit
def _around(given, first, length, count: tl.constexpr):
    """Samples from ``first`` on; before the first and after the last of all, it goes on."""
    samples = ()
    for i in tl.static_range(count):
        at = tl.minimum(tl.maximum(first + i, 0), length - 1)
        samples += (tl.load(given + at).to(tl.float32),)
    return samples


@triton.jit
def _raised(samples, newest: tl.constexpr, taps, first: tl.constexpr):
    """One value at twice the rate: every other tap, from ``first`` on, back from ``newest``."""
    total = samples[newest] * tl.load(taps + first)
    for i in tl.static_range(1, 6):
        total += samples[newest - i] * tl.load(taps + first + 2 * i)
    return total


@triton.jit
def _lowered(wave, first: tl.constexpr, taps):
    total = wave[first] * tl.load(taps)
    for i in tl.static_range(1, 12):
        total += wave[first + i] * tl.load(taps + i)
    return total


@triton.jit
def _kernel(given, made, frequencies, magnitudes, raising, lowering, channels, length):
    """A row of (B * C, T), ``_EACH * _THREADS`` outputs of it."""
    row = tl.program_id(0).to(tl.int64)
    frequency = tl.load(frequencies + row % channels)
    magnitude = tl.load(magnitudes + row % channels)
    given += row * length
    made += row * length
    start = _raised(_around(given, -3, length, 6), 5, raising, 1)
    end = _raised(_around(given, length - 3, length, 6), 5, raising, 0)

    first = (tl.program_id(1) * _THREADS + tl.arange(0, _THREADS)) * _EACH
    samples = _around(given, first - 5, length, _EACH + 10)
    wave = ()  # from 5 before the first output's on
    for i in tl.static_range(2 * _EACH + 10):
        at = 2 * first + i - 5  # odd where i is even
        value = _raised(samples, (i + 5) // 2 + 2 + (i + 1) % 2, raising, i % 2)
        value = tl.where(at < 0, start, tl.where(at >= 2 * length, end, value))
        sine = tl.sin(value * frequency)
        wave += (value + magnitude * (sine * sine),)

    # A thread's eight outputs side by side, so that few instructions write them.
    pairs = ()
    for i in tl.static_range(4):
        pairs += (tl.join(_lowered(wave, 2 * i, lowering), _lowered(wave, 2 * i + 8, lowering)),)
    halves = tl.join(tl.join(pairs[0], pairs[2]), tl.join(pairs[1], pairs[3]))
    value = tl.reshape(halves, (_THREADS, _EACH))
    at = first[:, None] + tl.arange(0, _EACH)[None, :]
    tl.store(made + at, value.to(made.dtype.element_ty), mask=at < length)


def activate(
    x: Tensor,
    frequency: Tensor,
    magnitude: Tensor,
    raising: Tensor,
    lowering: Tensor,
    dtype: torch.dtype,
) -> Tensor:
    """The activation of (B, C, T), computed in float32: (B, C, T) in ``dtype``.

    Args:
        x: on a device that Triton compiles for.
        frequency, magnitude: (C, 1), float32: see ``SnakeBeta.scales``.
        raising, lowering: (1, 1, 12), float32: the filters; ``raising`` times 2.
        dtype: of the result.
    """
    batch, channels, length = x.shape
    made = torch.empty(x.shape, dtype=dtype, device=x.device)
    grid = (batch * channels, triton.cdiv(length, _EACH.value * _THREADS.value))
    operands = (t.contiguous() for t in (frequency, magnitude, raising, lowering))
    with torch.cuda.device_of(x):
        _kernel[grid](x.contiguous(), made, *operands, channels, length, num_warps=4)
    return made
