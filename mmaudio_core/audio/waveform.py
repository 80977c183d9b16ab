"""AUDIO: the one place where it is checked and made into float samples, and libav frames of it."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import torch
from torch import Tensor

from ..config import plain_number
from ..errors import MediaError, Problem, describe
from .channels import layout_name

MAX_CHANNELS = 64
MIN_RATE, MAX_RATE = 1_000, 1_000_000
"""Sample rates in Hz; others are numbers of something else."""
_FULL_SCALE = {torch.uint8: 1 << 7, torch.int8: 1 << 7, torch.int16: 1 << 15, torch.int32: 1 << 31}
"""What samples that are integers are divided by; uint8 has its zero at 128."""
_TYPES = "floats in [-1, 1], int16, int32 or uint8"


@dataclass(frozen=True, kw_only=True)
class Audio:
    """Waveforms of the same length.

    Attributes:
        waveforms: (takes, channels, T) float32 on the CPU, none of them 0; 1 is full scale. They
            may hold NaN or infinity, see ``check_finite_samples``.
        sample_rate: in Hz.

    Raises:
        MediaError: the waveforms have another shape.
    """

    waveforms: Tensor
    sample_rate: int

    def __post_init__(self) -> None:
        _check_shape(self.waveforms, "(batch, channels, samples)")

    @property
    def duration(self) -> Fraction:
        """Seconds."""
        return Fraction(self.waveforms.shape[-1], self.sample_rate)


def read_audio(audio: object) -> Audio:
    """Check and convert an AUDIO in any of the forms that nodes make.

    Args:
        audio: a mapping, also one that loads when it is asked, with ``waveform`` and
            ``sample_rate``. The waveform is a tensor or an array of shape (T,), (channels, T) or
            (takes, channels, T), floats or integers, wherever it lies; the rate is a number, or a
            tensor or array of one.

    Raises:
        MediaError: it is nothing of that kind, or holds nothing.
    """
    if audio is None:
        raise MediaError("got no sound (from a video without an audio track?)", Problem.NO_AUDIO)
    if not isinstance(audio, Mapping):
        raise MediaError(
            f"got {describe(audio)}, expected an AUDIO: a dict with waveform and sample_rate",
            Problem.NOT_AUDIO,
        )
    entries = cast(Mapping[str, Any], audio)
    values: list[Any] = []
    for key in ("waveform", "sample_rate"):
        value = entries.get(key)
        if value is None:
            raise MediaError(
                f"got an AUDIO without {key} (only {', '.join(map(str, entries)) or 'nothing'}), "
                "expected waveform and sample_rate",
                Problem.NOT_AUDIO,
            )
        values.append(value)
    return Audio(waveforms=_read_waveforms(values[0]), sample_rate=_read_rate(values[1]))


def check_waveform(waveform: Tensor, sample_rate: int) -> None:
    """Check a waveform that is to be encoded.

    Args:
        waveform: (C, T) samples.
        sample_rate: in Hz.

    Raises:
        MediaError: if the shape is another one, a sample is not finite, or the rate is none.
    """
    _check_shape(waveform, "(channels, samples)")
    check_finite_samples(waveform)
    _read_rate(sample_rate)


def check_finite_samples(waveform: Tensor) -> None:
    """Raise MediaError if a sample is NaN or infinite."""
    finite = waveform.isfinite()
    if not finite.all():
        raise MediaError(
            f"got audio with {int((~finite).sum())} of {waveform.numel()} samples NaN or infinite,"
            " expected finite samples",
            Problem.AUDIO_NOT_FINITE,
        )


def leave_out_beginning(
    waveform: Tensor, sample_rate: int, start: Fraction
) -> tuple[Tensor, Fraction]:
    """Leave out what of a sound lies before a picture.

    Args:
        waveform: (C, T) samples.
        sample_rate: in Hz.
        start: seconds of the picture at which the sound begins.

    Returns:
        (C, n) samples, and the seconds of the picture at which they begin: at least 0.

    Raises:
        MediaError: nothing is left.
    """
    count = max(0, -round(start * sample_rate))
    if count >= waveform.shape[1]:
        raise MediaError(
            f"got a sound that starts {float(-start):g} s before the picture and lasts"
            f" {waveform.shape[1] / sample_rate:g} s, expected one that goes on in the picture",
            Problem.AUDIO_LEFT_OUT,
        )
    return waveform[:, count:], max(Fraction(0), start)


def audio_frame(waveform: Tensor, sample_rate: int, position: int) -> av.AudioFrame:
    """Make a libav frame of (C, n) samples on the CPU, C up to 8.

    Args:
        position: the first sample's number in the stream.
    """
    # interleaved: PyAV cannot make frames of more than seven planes
    interleaved = np.ascontiguousarray(waveform.T.numpy()).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(interleaved, "flt", layout_name(waveform.shape[0]))
    frame.sample_rate = sample_rate
    frame.time_base = Fraction(1, sample_rate)
    frame.pts = position
    return frame


def _check_shape(waveform: Tensor, axes: str) -> None:
    shape = tuple(waveform.shape)
    if len(shape) != axes.count(",") + 1 or 0 in shape:
        raise MediaError(
            f"got a waveform of shape {shape}, expected {axes}, none of them 0",
            Problem.AUDIO_SHAPE,
        )


def _read_waveforms(waveform: Any) -> Tensor:
    """(takes, channels, T) float32 on the CPU."""
    samples = _read_samples(waveform)
    shape = tuple(samples.shape)
    if 0 in shape:
        nothing = "samples" if shape[-1] == 0 else "takes" if shape[0] == 0 else "channels"
        raise MediaError(
            f"got an empty AUDIO (shape {shape}: 0 {nothing}), expected at least one sample",
            Problem.AUDIO_EMPTY,
        )
    if not 1 <= len(shape) <= 3:
        raise MediaError(
            f"got a waveform of shape {shape}, expected (batch, channels, samples)",
            Problem.AUDIO_SHAPE,
        )
    samples = samples.reshape((1,) * (3 - len(shape)) + shape)
    if samples.shape[1] > MAX_CHANNELS:
        raise MediaError(
            f"got a waveform of shape {shape}: {samples.shape[1]} channels, expected at most "
            f"{MAX_CHANNELS}. The shape is (batch, channels, samples)",
            Problem.AUDIO_SHAPE,
        )
    samples = samples.to("cpu")
    scale = _FULL_SCALE.get(samples.dtype)
    if scale is None:
        return samples.to(torch.float32).contiguous()
    zero = scale if samples.dtype is torch.uint8 else 0
    return (samples.to(torch.float32) - zero) / scale


def _read_samples(waveform: Any) -> Tensor:
    """A tensor of one of the types that samples have."""
    if isinstance(waveform, Tensor):
        if waveform.layout is not torch.strided or waveform.is_meta:
            raise _wrong_samples(f"layout {waveform.layout} on {waveform.device}")
        samples = cast(Tensor, waveform.detach().rename(None))
    elif isinstance(waveform, np.ndarray):
        array = cast("np.ndarray[Any, np.dtype[Any]]", waveform)
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        elif array.dtype.kind not in "iu" or array.itemsize > 4:
            raise _wrong_samples(f"type {array.dtype}")
        samples = torch.from_numpy(np.array(array, f"={array.dtype.str[1:]}"))
    else:
        raise _wrong_samples(f"a {type(waveform).__name__}")
    if not samples.is_floating_point() and samples.dtype not in _FULL_SCALE:
        raise _wrong_samples(f"type {str(samples.dtype).removeprefix('torch.')}")
    return samples


def _wrong_samples(got: str) -> MediaError:
    return MediaError(
        f"got a waveform of {got}, expected a tensor of {_TYPES}", Problem.AUDIO_SHAPE
    )


def _read_rate(rate: Any) -> int:
    """The rate in Hz, rounded."""
    rate = plain_number(rate)
    number = rate if isinstance(rate, (int, float)) and not isinstance(rate, bool) else math.nan
    if not MIN_RATE <= number <= MAX_RATE:
        raise MediaError(
            f"got {describe(rate)} as sample rate, expected a number of Hz from {MIN_RATE} to "
            f"{MAX_RATE}",
            Problem.AUDIO_RATE,
        )
    return round(number)
