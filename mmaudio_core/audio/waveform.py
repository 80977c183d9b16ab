"""Waveforms: what is checked before they are used, and libav frames made of them."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from torch import Tensor

from ..errors import MediaError, Problem

AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
"""Sample rates that AAC supports, in Hz."""


def check_waveform(waveform: Tensor, sample_rate: int) -> None:
    """Check a waveform that is to be encoded.

    Args:
        waveform: (C, T) samples, C 1 or 2.
        sample_rate: in Hz.

    Raises:
        MediaError: if the shape is another one, a sample is not finite, or AAC does not support
            the sample rate.
    """
    shape = tuple(waveform.shape)
    if len(shape) != 2 or shape[0] not in (1, 2) or not shape[1]:
        raise MediaError(
            f"got a waveform of shape {shape}, expected (channels, samples) with 1 or 2 channels"
            " and at least one sample",
            problem=Problem.AUDIO_SHAPE,
        )
    check_finite_samples(waveform)
    if sample_rate not in AAC_RATES:
        raise MediaError(
            f"got a sample rate of {sample_rate} Hz, expected one that AAC supports:"
            f" {', '.join(map(str, sorted(AAC_RATES)))}",
            problem=Problem.AUDIO_RATE,
        )


def check_waveform_batch(waveform: Tensor) -> None:
    """Check a batch (B, C, T) of waveforms with any number of channels.

    Raises:
        MediaError: if the shape is another one, a dimension is 0, or a sample is not finite.
    """
    shape = tuple(waveform.shape)
    if len(shape) != 3 or 0 in shape:
        raise MediaError(
            f"got a waveform of shape {shape}, expected (batch, channels, samples), none of them 0",
            problem=Problem.AUDIO_SHAPE,
        )
    check_finite_samples(waveform)


def check_finite_samples(waveform: Tensor) -> None:
    """Raise MediaError if a sample is NaN or infinite."""
    finite = waveform.isfinite()
    if not finite.all():
        raise MediaError(
            f"got audio with {int((~finite).sum())} of {waveform.numel()} samples NaN or infinite,"
            " expected finite samples",
            problem=Problem.AUDIO_NOT_FINITE,
        )


def channel_layout(waveform: Tensor) -> str:
    """libav's name for one or two channels."""
    return "mono" if waveform.shape[0] == 1 else "stereo"


def audio_frame(waveform: Tensor, sample_rate: int, position: int) -> av.AudioFrame:
    """Make a libav frame of (C, n) samples on the CPU.

    Args:
        position: the first sample's number in the stream.
    """
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(waveform.numpy()), "fltp", channel_layout(waveform)
    )
    frame.sample_rate = sample_rate
    frame.time_base = Fraction(1, sample_rate)
    frame.pts = position
    return frame
