"""Sample rate conversion by libswresample."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from fractions import Fraction

import av
import torch
from torch import Tensor

from .channels import layout_name
from .waveform import audio_frame

_CHUNK = 1 << 16
"""Samples converted at once."""


def resample(waveform: Tensor, sample_rate: int, new_rate: int) -> Tensor:
    """Convert (C, T) float32 samples on the CPU to ``new_rate`` Hz.

    Returns:
        (C, round(T * new_rate / sample_rate)) samples, without delay.
    """
    if sample_rate == new_rate:
        return waveform
    if waveform.shape[0] > 2:  # one by one, so that no layout matters
        return torch.cat([resample(one[None], sample_rate, new_rate) for one in waveform])
    layout = layout_name(waveform.shape[0])
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=new_rate)
    length = waveform.shape[1]
    result = torch.zeros(waveform.shape[0], round(Fraction(length * new_rate, sample_rate)))
    done = 0
    for begin in range(0, length, _CHUNK):
        frame = audio_frame(waveform[:, begin : begin + _CHUNK], sample_rate, begin)
        done = _store(resampler.resample(frame), result, done)
    _store(resampler.resample(None), result, done)
    return result


def _store(frames: list[av.AudioFrame], result: Tensor, done: int) -> int:
    """Copy frames into ``result`` from ``done`` on; return the end of the last one."""
    for frame in frames:
        samples = torch.from_numpy(frame.to_ndarray())[:, : result.shape[1] - done]
        result[:, done : done + samples.shape[1]] = samples
        done += samples.shape[1]
    return done
