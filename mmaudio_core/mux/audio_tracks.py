"""Audio tracks of the output file, written in step with the video so that packets interleave."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, cast

from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from ..audio.channels import layout_name
from ..audio.waveform import audio_frame
from .prepared_audio import PreparedAudio
from .source_audio import SourceAudio, audio_packets, audio_stream

_CHUNK = 1024
"""Samples given to an encoder at once; an AAC frame."""
_MIN_BITRATE = 6000
"""Bits per second and channel; Opus takes no less."""
_PREROLL = Fraction(1, 10)
"""Seconds of packets before the video that a copy keeps, because a decoder swallows its first
ones; only where they are hidden, by an edit list or by the codec delay of a file that has one."""


class AudioTrack(Protocol):
    """An audio track of the output file."""

    @property
    def stream(self) -> AudioStream:
        """The stream written to."""
        ...

    @property
    def early(self) -> Fraction:
        """Seconds by which it begins before the picture, without what its codec delays.

        Where no edit list hides them, as in Matroska, libav lets all else begin later instead.
        """
        ...

    def write_until(self, time: Fraction) -> None:
        """Write the audio up to ``time`` in seconds."""
        ...

    def finish(self) -> tuple[str, ...]:
        """Write what is left; returns what is not as before, a sentence each."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Codec:
    """How an audio codec is used.

    Attributes:
        encoder: libav's name of the encoder.
        sample_format: the encoder's input.
        rates: sample rates that it supports; empty for any.
        channels: numbers of channels that it keeps in their order, in every container.
        bitrate: default in bits per second and channel; 0 if lossless.
        max_bitrate: likewise.
    """

    encoder: str
    sample_format: str
    rates: tuple[int, ...] = ()
    channels: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    bitrate: int = 0
    max_bitrate: int = 0


_CODECS = {
    "aac": _Codec(
        encoder="aac",
        sample_format="fltp",
        rates=(96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
        channels=(1, 2, 3, 5, 6, 8),
        bitrate=128_000,
        max_bitrate=288_000,
    ),
    "opus": _Codec(
        encoder="libopus",
        sample_format="flt",
        rates=(48000, 24000, 16000, 12000, 8000),
        channels=(1, 2, 3, 4, 6, 8),  # libav confuses those of 5.0 and 6.1
        bitrate=80_000,
        max_bitrate=256_000,
    ),
    "flac": _Codec(encoder="flac", sample_format="s16"),
    "pcm": _Codec(encoder="pcm_s16le", sample_format="s16"),
}


def keeps_channels(codec: str, channels: int) -> bool:
    """Whether the codec takes that many channels."""
    return channels in _CODECS[codec].channels


def encoded_rate(codec: str, rate: int) -> int:
    """The lowest rate in Hz of the codec that loses nothing of ``rate``, or else its highest."""
    rates = _CODECS[codec].rates or (rate,)
    return min((known for known in rates if known >= rate), default=max(rates))


class AudioTrackEncoder:
    """Encodes audio into a track.

    Args:
        output: the file to write.
        audio: of as many channels as the codec takes; converted to a sample rate that it takes.
        codec: aac, opus, flac or pcm.
        bitrate: in kbit/s; 0 for a suitable one.
        sample_format: libav's name of the encoder's input, None for the codec's usual one.
    """

    def __init__(
        self,
        output: OutputContainer,
        audio: PreparedAudio,
        codec: str,
        bitrate: int = 0,
        sample_format: str | None = None,
    ) -> None:
        settings = _CODECS[codec]
        audio = audio.resample(encoded_rate(codec, audio.sample_rate))
        self._output = output
        self._audio = audio
        self._position = 0
        self._stream = cast(
            AudioStream,
            output.add_stream(
                settings.encoder,
                rate=audio.sample_rate,
                layout=layout_name(audio.waveform.shape[0]),
            ),
        )
        self._stream.codec_context.format = sample_format or settings.sample_format
        if settings.bitrate:
            channels = audio.waveform.shape[0]
            wanted = bitrate * 1000 or channels * settings.bitrate
            self._stream.bit_rate = max(
                channels * _MIN_BITRATE, min(wanted, channels * settings.max_bitrate)
            )

    @property
    def stream(self) -> AudioStream:
        return self._stream

    @property
    def early(self) -> Fraction:
        return Fraction(0)

    def write_until(self, time: Fraction) -> None:
        end = min(math.ceil(time * self._audio.sample_rate), self._audio.length)
        while self._position < end:
            chunk = self._audio.chunk(self._position, _CHUNK)
            frame = audio_frame(chunk, self._audio.sample_rate, self._position)
            self._position += chunk.shape[1]
            self._output.mux(self._stream.encode(frame))

    def finish(self) -> tuple[str, ...]:
        self.write_until(Fraction(self._audio.length, self._audio.sample_rate))
        self._output.mux(self._stream.encode(None))
        return ()


class AudioTrackCopier:
    """Copies the packets of a file's own audio into a track.

    Args:
        output: the file to write.
        container: the file to read, opened for this track alone.
        audio: the part of it to copy.
    """

    def __init__(
        self, output: OutputContainer, container: InputContainer, audio: SourceAudio
    ) -> None:
        stream = audio_stream(container, audio.index)
        self._output = output
        self._stream = output.add_stream_from_template(stream, opaque=True)
        self._time_base = Fraction(stream.time_base or Fraction(1, 48_000))
        self._start = round(audio.start / self._time_base)
        self._duration = audio.duration
        delayed = "matroska" in container.format.name  # by as much as the first packet is early
        hidden = output.format.name in ("mp4", "mov") or delayed
        self._delay: int | None = None if delayed else 0
        self._preroll = _PREROLL if hidden else Fraction(0)
        self._packets = audio_packets(container, stream)
        self._next: Packet[AudioStream] | None = None
        self._expected = 0  # ticks at which a packet without a time begins
        self._last: int | None = None
        self._advance()

    @property
    def stream(self) -> AudioStream:
        return self._stream

    @property
    def early(self) -> Fraction:
        begin = 0 if self._next is None else self._next.pts or 0
        return max(0, -begin - (self._delay or 0)) * self._time_base

    def write_until(self, time: Fraction) -> None:
        while self._next is not None and (self._next.pts or 0) * self._time_base < time:
            packet = self._next
            packet.stream = self._stream
            self._output.mux(packet)
            self._advance()

    def finish(self) -> tuple[str, ...]:
        self.write_until(self._duration)
        return ()

    def _advance(self) -> None:
        """Find the next packet of the part to copy, and set its times relative to the part."""
        self._next = None
        for packet in self._packets:
            if not packet.size:
                continue
            ticks = packet.pts if packet.pts is not None else packet.dts
            if self._delay is None:
                self._delay = max(0, -(ticks or 0))
            ticks = self._expected if ticks is None else ticks - self._start
            self._expected = ticks + (packet.duration or 0)
            if ticks * self._time_base >= self._duration:
                return
            too_early = self._expected * self._time_base <= -self._preroll
            if too_early or (self._last is not None and ticks <= self._last):
                continue
            self._last = packet.pts = packet.dts = ticks
            self._next = packet
            return
