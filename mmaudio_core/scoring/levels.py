"""What a take's samples tell by themselves: silence, clipping and loudness."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio.loudness import integrated_loudness

SILENT_DB = -60.0
"""Level in dBFS below which 20 ms are silent in every channel."""
_FRAME_SECONDS = 0.02
_FULL_SCALE = 1 - 2**-15  # the highest sample of 16 bits
_TOLERANCE = 2**-17
_RUN = 3  # samples: fewer at full scale may be the peak of a wave that just fits


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Levels of a take.

    Attributes:
        silence: share of the take, in [0, 1], that is silent.
        clipping: share of the samples of all channels, in [0, 1], that are clipped: at full scale
            or beyond it, three or more in a row.
        loudness: integrated loudness in LUFS; None if it was not measured.
        reason: why the loudness was not measured; empty if it was.
    """

    silence: float
    clipping: float
    loudness: float | None
    reason: str = ""


def measure_levels(waveform: Tensor, sample_rate: int) -> Levels:
    """Measure the levels of a take.

    Args:
        waveform: (C, T) finite samples.
        sample_rate: in Hz.

    Raises:
        MediaError: if pyloudnorm is not installed.
    """
    loudness = integrated_loudness(waveform, sample_rate)
    heard = math.isfinite(loudness)
    return Levels(
        silence=silence_share(waveform, sample_rate),
        clipping=clipping_share(waveform),
        loudness=loudness if heard else None,
        reason="" if heard else "the sound is silent, below -70 LUFS",
    )


def silence_share(waveform: Tensor, sample_rate: int) -> float:
    """Share of (C, T) samples, in [0, 1], in frames that are silent in every channel."""
    size = max(1, round(_FRAME_SECONDS * sample_rate))
    length = waveform.shape[1]
    frames = F.pad(waveform, (0, -length % size)).unfold(1, size, size)
    counts = torch.full((frames.shape[1],), float(size))
    counts[-1] = length - size * (len(counts) - 1)
    power = frames.square().sum(dim=2) / counts
    silent = (power < 10 ** (SILENT_DB / 10)).all(dim=0)
    return float(counts[silent].sum()) / length


def clipping_share(waveform: Tensor) -> float:
    """Share of (C, T) samples, in [0, 1], in runs of at least three at full scale or beyond."""
    full = (waveform.abs() >= _FULL_SCALE - _TOLERANCE).float()
    # a run of three begins wherever the least of three is full; it covers them all
    begins = -F.max_pool1d(-F.pad(full, (_RUN - 1, _RUN - 1)), _RUN, 1)
    return float(F.max_pool1d(begins, _RUN, 1).mean())
