"""Loudness by ITU-R BS.1770-4, and peaks that stay below what clips."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from ..errors import MediaError

CEILING = -1.0
"""Highest true peak (dBTP) of a sound that was made louder or mixed, as EBU R 128 has it."""
_OVER = 4
"""Times the sample rate at which true peaks are looked for, as BS.1770-4, annex 2."""
_TAPS = 24
"""Samples either side that an oversampled one is made of."""
_PIECE = 1 << 20
"""Samples oversampled at once."""
_AHEAD = 0.01
"""Seconds before and after a peak over which the limiter lowers the gain."""
_BLOCK = 0.4
"""Seconds of the blocks that loudness is measured in; a shorter sound counts as followed by
silence."""
_ROUNDS = 4
_NEAR = 0.1
"""LU from what was asked that are near enough."""
_MOST = 40.0
"""Decibels of gain at most: below is noise only."""


def integrated_loudness(waveform: Tensor, sample_rate: int) -> float:
    """LUFS of (C, T) samples; minus infinity for silence.

    Raises:
        MediaError: when pyloudnorm is not installed.
    """
    try:
        import pyloudnorm  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise MediaError(
            "loudness was asked for, but the Python package pyloudnorm is not installed; expected"
            " it as requirements.txt lists it. Run: pip install pyloudnorm"
        ) from error
    meter: Any = pyloudnorm.Meter(sample_rate)  # pyright: ignore
    missing = math.ceil(_BLOCK * sample_rate) + 1 - waveform.shape[1]
    padded = torch.nn.functional.pad(waveform, (0, max(0, missing)))
    if not padded.any():
        return -math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a mean of no blocks, all below -70
        loudness = float(meter.integrated_loudness(padded.double().T.numpy()))
    return loudness if math.isfinite(loudness) else -math.inf


def normalised(
    waveform: Tensor, sample_rate: int, loudness: float
) -> tuple[Tensor, tuple[str, ...]]:
    """(C, T) samples at ``loudness`` LUFS, with true peaks below ``CEILING``; notes on both."""
    measured = integrated_loudness(waveform, sample_rate)
    if math.isinf(measured):
        return waveform, ("The sound is silent: its loudness was left as it is.",)
    gain = min(_MOST, loudness - measured)
    result, lowered, peaks = waveform, 0.0, true_peaks(waveform)
    for _ in range(_ROUNDS):
        factor = 10 ** (gain / 20)
        result, lowered = limited(waveform * factor, sample_rate, peaks * factor)
        measured = integrated_loudness(result, sample_rate)
        if abs(measured - loudness) < _NEAR or gain >= _MOST:
            break
        gain = min(_MOST, gain + loudness - measured)
    notes: tuple[str, ...] = ()
    if lowered > _NEAR:
        notes += (f"Peaks were lowered by up to {lowered:.1f} dB, so that they do not clip.",)
    if abs(measured - loudness) > 0.5:
        notes += (
            f"The loudness is {measured:.1f} LUFS, not {loudness:g}: more would distort the sound.",
        )
    return result, notes


def limited(
    waveform: Tensor, sample_rate: int, peaks: Tensor | None = None
) -> tuple[Tensor, float]:
    """(C, T) samples whose true peaks are at most ``CEILING``, and decibels taken off at most.

    The gain looks ahead: at each peak it is what the peak needs, or lower; around it, a mean of
    what is needed nearby. Nothing is changed where nothing is too loud.

    Args:
        peaks: of ``true_peaks``, where they are known.
    """
    ceiling = 10 ** (CEILING / 20)
    peaks = true_peaks(waveform) if peaks is None else peaks
    if not (peaks > ceiling).any():
        return waveform, 0.0
    reach = max(1, round(_AHEAD * sample_rate))
    width = 2 * reach + 1
    needed = torch.nn.functional.pad(ceiling / peaks.clamp_min(ceiling), (reach, reach), value=1.0)
    lowest = _sliding_min(needed, width)
    padded = torch.nn.functional.pad(lowest[None], (reach, reach), mode="replicate").double()
    sums = torch.nn.functional.pad(padded.cumsum(1), (1, 0))
    gain = ((sums[:, width:] - sums[:, :-width]) / width).float()
    return waveform * gain, float(-20 * gain.min().log10())


def _sliding_min(values: Tensor, width: int) -> Tensor:
    """(T,) -> (T - width + 1,) minimum of each ``width`` neighbours, in log2(width) steps."""
    size = 1
    while size < width:
        step = min(size, width - size)
        values = torch.minimum(values[:-step], values[step:])
        size += step
    return values


def true_peak(waveform: Tensor) -> float:
    """The highest level (dBTP) of the wave that (C, T) samples stand for."""
    return 20 * math.log10(max(1e-10, float(true_peaks(waveform).max())))


def true_peaks(waveform: Tensor) -> Tensor:
    """(C, T) samples -> (T,) highest level from each to the next, in any channel."""
    phases = torch.arange(_OVER) / _OVER
    offsets = torch.arange(-_TAPS + 1, _TAPS + 1)
    distance = offsets - phases[:, None]
    window = torch.cos(torch.pi * distance / (2 * _TAPS + 1)).square()
    kernel = (torch.sinc(distance) * window)[:, None]
    length = waveform.shape[1]
    padded = torch.nn.functional.pad(waveform, (_TAPS - 1, _TAPS))
    result = waveform.new_zeros(length)
    for begin in range(0, length, _PIECE):
        piece = padded[:, begin : begin + _PIECE + 2 * _TAPS - 1]
        over = torch.nn.functional.conv1d(piece[:, None], kernel).abs().amax((0, 1))
        result[begin : begin + over.shape[0]] = over[: length - begin]
    return torch.maximum(result, result.roll(1))
