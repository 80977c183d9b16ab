"""A sound track: a waveform encoded in step with a picture."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from av.audio.stream import AudioStream
from av.container import OutputContainer

from ..audio.waveform import AAC_RATES, audio_frame, channel_layout
from .prepared_audio import PreparedAudio

_PIECE = 1024
"""Samples given to an encoder at once; an AAC frame."""


@dataclass(frozen=True, kw_only=True)
class _Codec:
    """How one is used.

    Args:
        encoder: libav's name of it.
        form: the sample format it gets.
        rates: the sample rates it knows; empty for any.
        bits: bits a second and channel, where it is lossy.
        most: the same, at most.
    """

    encoder: str
    form: str
    rates: tuple[int, ...] = ()
    bits: int = 0
    most: int = 0


_CODECS = {
    "aac": _Codec(encoder="aac", form="fltp", rates=AAC_RATES, bits=128_000, most=288_000),
    "opus": _Codec(
        encoder="libopus",
        form="flt",
        rates=(48000, 24000, 16000, 12000, 8000),
        bits=80_000,
        most=256_000,
    ),
    "flac": _Codec(encoder="flac", form="s16"),
    "pcm": _Codec(encoder="pcm_s16le", form="s16"),
}


class AudioTrackEncoder:
    """Encodes a ``Sound`` into a container as far as asked, so that the tracks interleave."""

    def __init__(
        self, container: OutputContainer, sound: PreparedAudio, codec: str = "aac", bitrate: int = 0
    ) -> None:
        settings = _CODECS[codec]
        if settings.rates and sound.sample_rate not in settings.rates:
            sound = sound.at(_rate_for(sound.sample_rate, settings.rates))
        self._container = container
        self._sound = sound
        self._position = 0
        channels = sound.waveform.shape[0]
        layout = channel_layout(sound.waveform)
        added = container.add_stream(settings.encoder, rate=sound.sample_rate, layout=layout)
        self._stream = cast(AudioStream, added)
        self._stream.codec_context.format = settings.form
        if settings.bits:
            # AAC allows 6144 bits a frame and channel.
            most = min(settings.most, 5 * sound.sample_rate) if codec == "aac" else settings.most
            bits = bitrate * 1000 or channels * settings.bits
            self._stream.bit_rate = max(6000 * channels, min(bits, channels * most))

    @property
    def stream(self) -> AudioStream:
        """The stream written to."""
        return self._stream

    def write_until(self, time: Fraction) -> None:
        """Write the sound up to ``time`` in seconds."""
        end = min(math.ceil(time * self._sound.sample_rate), self._sound.samples)
        while self._position < end:
            piece = self._sound.piece(self._position, _PIECE)
            frame = audio_frame(piece, self._sound.sample_rate, self._position)
            self._position += piece.shape[1]
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what is left."""
        self.write_until(Fraction(self._sound.samples, self._sound.sample_rate))
        self._container.mux(self._stream.encode(None))


def _rate_for(rate: int, rates: tuple[int, ...]) -> int:
    """The lowest rate that loses nothing, or else the highest."""
    return min((known for known in rates if known >= rate), default=max(rates))
