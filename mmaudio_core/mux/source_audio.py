"""A video's own sound: decoded, or its packets as they are."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction

import av
import torch
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from torch import Tensor

from ..errors import MediaError
from ..media import VideoFile
from ..progress import Progress

_GAP = Fraction(1, 50)
"""Seconds that two frames may lie apart before the gap counts as one: clocks of files are rough."""

_PREROLL = Fraction(1, 10)
"""Seconds before the picture whose packets a copy keeps, since decoders hold their first ones back;
where an edit list hides them, or a codec delay that comes from a file that has it."""


@dataclass(frozen=True, kw_only=True)
class SourceAudio:
    """The sound of a file, or of a video that is none, over the part of a picture that is used.

    Args:
        source: the file; or (C, T) samples and their rate, which begin with the picture.
        zero: where in the file's own clock the picture begins, in seconds.
        length: seconds of it that are used.
    """

    source: VideoFile | tuple[Tensor, int]
    zero: Fraction
    length: Fraction

    def codec(self) -> str | None:
        """The sound's codec, ``samples`` where there is no file; None when there is no sound."""
        if isinstance(self.source, tuple):
            return "samples"
        with self.source.open() as (container, _):
            stream = _best(container)
            return None if stream is None else stream.codec_context.codec.canonical_name

    def samples(self, progress: Progress) -> tuple[Tensor, int]:
        """(C, T) float32 samples, C 1 or 2, from the picture's beginning on, and their rate.

        All of it is held in memory: 23 MB a minute of 48 kHz stereo.

        Raises:
            MediaError: when none of it decodes, or it holds NaN or infinity.
        """
        if isinstance(self.source, tuple):
            waveform, rate = self.source
            if waveform.shape[0] > 2:
                waveform = waveform.mean(0, keepdim=True)
            waveform = waveform.detach().to("cpu", torch.float32)
        else:
            waveform, rate = _decode(self.source, self.zero, self.length, progress)
        if not waveform.isfinite().all():
            raise MediaError(
                "the video's own sound holds NaN or infinity; expected finite samples, so nothing"
                " was written. Set original_audio to replace, or repair the video's sound."
            )
        return waveform[:, : round(self.length * rate)], rate


def _best(container: InputContainer) -> AudioStream | None:
    stream = container.streams.best("audio")
    known = isinstance(stream, AudioStream) and bool(stream.codec_context)
    return stream if isinstance(stream, AudioStream) and known else None


def _decode(
    source: VideoFile, zero: Fraction, length: Fraction, progress: Progress
) -> tuple[Tensor, int]:
    pieces: list[Tensor] = []
    rate = done = 0
    with source.open() as (container, _):
        stream = _best(container)
        assert stream is not None
        resampler = None
        for frame in _frames(container, stream):
            progress("mux", 0, 1)
            if resampler is None:
                rate = frame.sample_rate
                layout = "mono" if len(frame.layout.channels) == 1 else "stereo"
                resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
            begin = done
            if frame.pts is not None and frame.time_base is not None:
                begin = round((frame.pts * frame.time_base - zero) * rate)
                frame.pts = None
            if begin >= length * rate:
                break
            try:
                converted = resampler.resample(frame)
            except (FFmpegError, ValueError):  # the format changes on the way
                resampler = None
                continue
            for piece in converted:
                samples = torch.from_numpy(piece.to_ndarray())
                if done and abs(begin - done) <= _GAP * rate:
                    begin = done
                following = begin + samples.shape[1]
                if following > done:
                    gap = samples.new_zeros(samples.shape[0], max(0, begin - done))
                    pieces += [gap, samples[:, max(0, done - begin) :]]
                    done = following
                begin = following
    if not pieces:
        raise MediaError(
            "no sound of the video could be decoded, though it has a sound track; expected one in"
            " a codec that this PyAV knows. Set original_audio to replace."
        )
    return torch.cat(pieces, 1), rate


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Every frame that decodes."""
    for packet in _packets(container, stream):
        try:
            yield from packet.decode()
        except (FFmpegError, ValueError):
            continue


def _packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    try:
        yield from container.demux(stream)
    except FFmpegError:
        return


class AudioTrackCopier:
    """Copies a file's sound into a container as far as asked, so that the tracks interleave."""

    def __init__(self, container: OutputContainer, original: SourceAudio) -> None:
        assert not isinstance(original.source, tuple)
        self._open = ExitStack()
        source, _ = self._open.enter_context(original.source.open())
        stream = _best(source)
        assert stream is not None
        self._container = container
        self._track = container.add_stream_from_template(stream, opaque=True)
        self._unit = Fraction(stream.time_base or Fraction(1, 48_000))
        self._zero = round(original.zero / self._unit)
        self._end = original.length
        hidden = container.format.name in ("mp4", "mov") or "matroska" in source.format.name
        self._preroll = _PREROLL if hidden else Fraction(0)
        self._packets = _packets(source, stream)
        self._next: Packet[AudioStream] | None = None
        self._clock = 0
        self._last: int | None = None
        self._advance()

    @property
    def stream(self) -> AudioStream:
        """The stream written to."""
        return self._track

    def write_until(self, time: Fraction) -> None:
        """Write the packets that begin before ``time`` in seconds."""
        while self._next is not None and (self._next.pts or 0) * self._unit < time:
            packet = self._next
            packet.stream = self._track
            self._container.mux(packet)
            self._advance()

    def finish(self) -> None:
        """Write what is left."""
        self.write_until(self._end)

    def close(self) -> None:
        """Let the file go."""
        self._next = None
        self._open.close()

    def _advance(self) -> None:
        """Find the next packet that sounds within the picture, and give it its time there."""
        self._next = None
        for packet in self._packets:
            if not packet.size:
                continue
            ticks = packet.pts if packet.pts is not None else packet.dts
            ticks = self._clock if ticks is None else ticks - self._zero
            length = packet.duration or 0
            self._clock = ticks + length
            if ticks * self._unit >= self._end:
                return
            if self._clock * self._unit <= -self._preroll or (
                self._last is not None and ticks <= self._last
            ):
                continue
            self._last = packet.pts = packet.dts = ticks
            self._next = packet
            return
