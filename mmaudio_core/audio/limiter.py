"""True peaks (ITU-R BS.1770-4, annex 2), and a limiter that keeps them below clipping.

libav's ``alimiter`` limits sample peaks only; at four times the sample rate it still lets the true
peaks of noise rise 0.6 dB above the ceiling, and it distorts low tones.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CEILING = -1.0
"""Highest true peak (dBTP) after limiting, as EBU R 128 recommends."""
_OVERSAMPLING = 4
_TAPS = 24
"""Samples on either side from which one between them is interpolated."""
_CHUNK = 1 << 20
"""Samples oversampled at once."""
_LOOKAHEAD = 0.01
"""Seconds before and after a peak over which the gain is lowered."""
_AUDIBLE = 0.1
"""Decibels of gain reduction worth a note."""


def limit_true_peaks(
    waveform: Tensor, sample_rate: int, peaks: Tensor | None = None
) -> tuple[Tensor, float]:
    """Lower the gain around peaks so that no true peak exceeds ``CEILING``.

    At a peak the gain is what the peak needs or less; around it, a moving average of what the
    neighbours need. A waveform without such peaks is returned unchanged.

    Args:
        waveform: (C, T) samples.
        sample_rate: in Hz.
        peaks: ``true_peaks(waveform)`` if already known.

    Returns:
        (C, T) samples and the largest gain reduction in dB.
    """
    ceiling = 10 ** (CEILING / 20)
    peaks = true_peaks(waveform) if peaks is None else peaks
    if not (peaks > ceiling).any():
        return waveform, 0.0
    reach = max(1, round(_LOOKAHEAD * sample_rate))
    width = 2 * reach + 1
    needed = torch.nn.functional.pad(ceiling / peaks.clamp_min(ceiling), (reach, reach), value=1.0)
    lowest = _sliding_min(needed, width)
    padded = torch.nn.functional.pad(lowest[None], (reach, reach), mode="replicate").double()
    sums = torch.nn.functional.pad(padded.cumsum(1), (1, 0))
    gain = ((sums[:, width:] - sums[:, :-width]) / width).float()
    return waveform * gain, float(-20 * gain.min().log10())


def limiter_notes(reduction: float) -> tuple[str, ...]:
    """What to tell the user about a gain reduction in dB; nothing if it is inaudible."""
    if reduction <= _AUDIBLE:
        return ()
    return (f"Peaks were lowered by up to {reduction:.1f} dB, so that they do not clip.",)


def true_peak(waveform: Tensor) -> float:
    """The true peak of (C, T) samples in dBTP."""
    return 20 * math.log10(max(1e-10, float(true_peaks(waveform).max())))


def true_peaks(waveform: Tensor) -> Tensor:
    """(C, T) samples -> (T,) highest level from each to just before the next, in any channel."""
    phases = torch.arange(_OVERSAMPLING) / _OVERSAMPLING
    offsets = torch.arange(-_TAPS + 1, _TAPS + 1)
    distance = offsets - phases[:, None]
    window = torch.cos(torch.pi * distance / (2 * _TAPS + 1)).square()
    kernel = (torch.sinc(distance) * window)[:, None]
    length = waveform.shape[1]
    padded = torch.nn.functional.pad(waveform, (_TAPS - 1, _TAPS))
    result = waveform.new_zeros(length)
    for begin in range(0, length, _CHUNK):
        chunk = padded[:, begin : begin + _CHUNK + 2 * _TAPS - 1]
        oversampled = torch.nn.functional.conv1d(chunk[:, None], kernel).abs().amax((0, 1))
        result[begin : begin + oversampled.shape[0]] = oversampled[: length - begin]
    return result


def _sliding_min(values: Tensor, width: int) -> Tensor:
    """(T,) -> (T - width + 1,) minimum of each ``width`` neighbors, in log2(width) steps."""
    size = 1
    while size < width:
        step = min(size, width - size)
        values = torch.minimum(values[:-step], values[step:])
        size += step
    return values
