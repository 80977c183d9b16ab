"""The sound track: a waveform, checked, delayed, cut and encoded as AAC in step with a picture."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import av
import torch
from av.audio.stream import AudioStream
from av.container import OutputContainer
from torch import Tensor

from ..errors import MediaError

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
"""Sample rates AAC knows."""
_FRAME = 1024
"""Samples in an AAC frame."""
_BITS = 128_000
"""Bits a second for each channel; low sample rates cannot use as many."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """One take, ready to encode.

    Args:
        waveform: (C, T) float32 in [-1, 1] on the CPU, C 1 or 2.
        sample_rate: samples a second.
        silence: samples of silence before it.
    """

    waveform: Tensor
    sample_rate: int
    silence: int

    @property
    def samples(self) -> int:
        """Samples in all."""
        return self.silence + self.waveform.shape[1]

    def piece(self, begin: int) -> Tensor:
        """Up to one AAC frame of samples from ``begin`` on, (C, n)."""
        end = min(begin + _FRAME, self.samples)
        quiet = max(0, min(end, self.silence) - begin)
        heard = self.waveform[:, max(0, begin - self.silence) : max(0, end - self.silence)]
        return torch.nn.functional.pad(heard, (quiet, 0)).contiguous()


def fit_sound(
    waveform: Tensor, sample_rate: int, *, start: Fraction, length: Fraction
) -> tuple[Sound, tuple[str, ...]]:
    """Check a take and lay it over a picture of ``length`` seconds from ``start`` on.

    Silence rather than an empty edit or a late first timestamp delays it, since players differ in
    how they take those. What would sound past the picture's end is cut off, with a note.

    Raises:
        MediaError: on another shape, NaN or infinity, a sample rate that AAC does not know, or a
            start outside the picture.
    """
    _check(waveform, sample_rate)
    if not 0 <= start < length:
        raise MediaError(
            f"the sound is to start at {float(start):g} s of a picture that lasts"
            f" {float(length):g} s; expected a start within it. Lower start_offset."
        )
    silence = round(start * sample_rate)
    room = math.ceil(length * sample_rate) - silence
    notes: tuple[str, ...] = ()
    if waveform.shape[1] > room:
        over = (waveform.shape[1] - room) / sample_rate
        notes = (f"The sound was {over:.3g} s longer than the picture and was cut at its end.",)
    heard = waveform.detach()[:, :room].to("cpu", torch.float32).clamp(-1, 1)
    return Sound(waveform=heard, sample_rate=sample_rate, silence=silence), notes


def _check(waveform: Tensor, sample_rate: int) -> None:
    shape = tuple(waveform.shape)
    if len(shape) != 2 or shape[0] not in (1, 2) or not shape[1]:
        raise MediaError(
            f"a waveform of shape {shape} was given; expected one take (channels, samples) with 1"
            " or 2 channels and at least one sample. Choose one take of the batch."
        )
    if not waveform.isfinite().all():
        bad = int((~waveform.isfinite()).sum())
        raise MediaError(
            f"the sound holds NaN or infinity ({bad} of {waveform.numel()} samples); expected"
            " finite samples, so nothing was written. It was broken before it came here: try"
            " precision fp32 in the loader, or load other weights."
        )
    if sample_rate not in _RATES:
        raise MediaError(
            f"a sample rate of {sample_rate} Hz was given; AAC expects one of"
            f" {', '.join(map(str, sorted(_RATES)))}. Resample the sound, for instance to 44100."
        )


class SoundTrack:
    """Encodes a ``Sound`` into a container as far as asked, so that the two tracks interleave."""

    def __init__(self, container: OutputContainer, sound: Sound) -> None:
        channels = sound.waveform.shape[0]
        self._layout = "mono" if channels == 1 else "stereo"
        self._container = container
        self._sound = sound
        self._position = 0
        self._stream: AudioStream = container.add_stream(
            "aac", rate=sound.sample_rate, layout=self._layout
        )
        # AAC allows 6144 bits a frame and channel.
        self._stream.bit_rate = channels * min(_BITS, 5 * sound.sample_rate)

    def write_until(self, time: Fraction) -> None:
        """Write the sound up to ``time`` in seconds."""
        end = min(math.ceil(time * self._sound.sample_rate), self._sound.samples)
        while self._position < end:
            piece = self._sound.piece(self._position)
            frame = av.AudioFrame.from_ndarray(piece.numpy(), "fltp", self._layout)
            frame.sample_rate = self._sound.sample_rate
            frame.time_base = Fraction(1, self._sound.sample_rate)
            frame.pts = self._position
            self._position += piece.shape[1]
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what is left."""
        self.write_until(Fraction(self._sound.samples, self._sound.sample_rate))
        self._container.mux(self._stream.encode(None))
