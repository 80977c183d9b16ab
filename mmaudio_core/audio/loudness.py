"""Integrated loudness (ITU-R BS.1770-4): measuring it and bringing audio to a target.

pyloudnorm measures it. libav's ``ebur128`` filter does too, but reports it as frame metadata, which
PyAV gives access to since version 18 only. Its ``loudnorm`` compresses the dynamics.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from ..errors import MediaError
from .channels import loudness_channels
from .limiter import limit_true_peaks, limiter_notes, true_peaks
from .resample import resample

_GATING_BLOCK = 0.4
"""Seconds of a block of BS.1770; shorter audio is measured as if silence followed it."""
_MIN_METER_RATE = 8000
"""Hz; the filters of BS.1770 need frequencies up to 1.7 kHz."""
_ROUNDS = 4
_CLOSE_ENOUGH = 0.1
"""LU from the target at which the gain is adjusted no further."""
_TOLERANCE = 0.5
"""LU from the target that are worth a note."""
_MAX_GAIN = 40.0
"""Decibels; audio that needs more is noise only."""


def integrated_loudness(waveform: Tensor, sample_rate: int) -> float:
    """Integrated loudness of (C, T) samples in LUFS; minus infinity for silence.

    Raises:
        MediaError: if pyloudnorm is not installed.
    """
    try:
        import pyloudnorm  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise MediaError(
            "measuring loudness needs the Python package pyloudnorm, which is not installed,"
            " although requirements.txt lists it. Run: pip install pyloudnorm"
        ) from error
    waveform = loudness_channels(waveform)
    if sample_rate < _MIN_METER_RATE:
        waveform, sample_rate = resample(waveform, sample_rate, _MIN_METER_RATE), _MIN_METER_RATE
    meter: Any = pyloudnorm.Meter(sample_rate)  # pyright: ignore
    missing = math.ceil(_GATING_BLOCK * sample_rate) + 1 - waveform.shape[1]
    padded = torch.nn.functional.pad(waveform, (0, max(0, missing)))
    if not padded.any():
        return -math.inf
    with warnings.catch_warnings():
        # the mean of no blocks, if all are below the absolute gate of -70 LUFS
        warnings.simplefilter("ignore", RuntimeWarning)
        loudness = float(meter.integrated_loudness(padded.double().T.numpy()))
    return loudness if math.isfinite(loudness) else -math.inf


def normalize_loudness(
    waveform: Tensor, sample_rate: int, target: float
) -> tuple[Tensor, tuple[str, ...]]:
    """Bring audio to a loudness, with true peaks below ``limiter.CEILING``.

    Limiting makes audio quieter, so the gain is adjusted a few times.

    Args:
        waveform: (C, T) samples.
        sample_rate: in Hz.
        target: integrated loudness in LUFS.

    Returns:
        (C, T) samples, and what the user should know, a sentence each.
    """
    measured = integrated_loudness(waveform, sample_rate)
    if math.isinf(measured):
        return waveform, ("The audio is silent, so its loudness was left as it is.",)
    gain = min(_MAX_GAIN, target - measured)
    result, reduction, peaks = waveform, 0.0, true_peaks(waveform)
    for _ in range(_ROUNDS):
        factor = 10 ** (gain / 20)
        result, reduction = limit_true_peaks(waveform * factor, sample_rate, peaks * factor)
        measured = integrated_loudness(result, sample_rate)
        if abs(measured - target) < _CLOSE_ENOUGH or gain >= _MAX_GAIN:
            break
        gain = min(_MAX_GAIN, gain + target - measured)
    notes = limiter_notes(reduction)
    if abs(measured - target) > _TOLERANCE:
        notes += (
            f"The loudness is {measured:.1f} LUFS, not {target:g}: more gain would distort the"
            " audio.",
        )
    return result, notes
