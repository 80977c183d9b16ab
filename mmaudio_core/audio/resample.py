"""Sounds at another sample rate."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import torch
from torch import Tensor

_PIECE = 1 << 16
"""Samples given to libav at once."""


def layout_of(waveform: Tensor) -> str:
    """libav's name for one or two channels."""
    return "mono" if waveform.shape[0] == 1 else "stereo"


def audio_frame(waveform: Tensor, sample_rate: int, position: int) -> av.AudioFrame:
    """(C, n) samples as a frame that begins at the sample ``position``."""
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(waveform.numpy()), "fltp", layout_of(waveform)
    )
    frame.sample_rate = sample_rate
    frame.time_base = Fraction(1, sample_rate)
    frame.pts = position
    return frame


def resample(waveform: Tensor, rate: int, wanted: int) -> Tensor:
    """(C, T) float32 samples at ``rate`` -> (C, round(T * wanted / rate)) at ``wanted``."""
    if rate == wanted:
        return waveform
    resampler = av.AudioResampler(format="fltp", layout=layout_of(waveform), rate=wanted)
    length = waveform.shape[1]
    result = torch.zeros(waveform.shape[0], round(Fraction(length * wanted, rate)))
    done = 0
    for begin in [*range(0, length, _PIECE), None]:
        frame = (
            None if begin is None else audio_frame(waveform[:, begin : begin + _PIECE], rate, begin)
        )
        for piece in resampler.resample(frame):
            samples = torch.from_numpy(piece.to_ndarray())[:, : result.shape[1] - done]
            result[:, done : done + samples.shape[1]] = samples
            done += samples.shape[1]
    return result
