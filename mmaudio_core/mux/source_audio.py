"""A video file's own audio track: found, and decoded in step with the video."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import torch
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from torch import Tensor

from ..audio.channels import standard_layout
from ..errors import MediaError, Problem
from ..media import VideoFile
from ..progress import Progress
from .kept.tags import StreamNotes, stream_notes

_JITTER = Fraction(1, 50)
"""Seconds between two frames that do not count as a gap: timestamps of files are rough."""


@dataclass(frozen=True, kw_only=True)
class SourceAudio:
    """The audio track of a file, over the part of the video that is used.

    Attributes:
        video: the file.
        index: which of the file's streams it is.
        codec: the track's codec.
        notes: what is said of the track.
        start: when the used part of the video begins, in seconds of the file's own clock.
        duration: seconds that are used.
    """

    video: VideoFile
    index: int
    codec: str
    notes: StreamNotes
    start: Fraction
    duration: Fraction

    def decode(self, progress: Progress) -> tuple[Tensor, int]:
        """Decode the used part, its gaps filled with silence.

        All of it is held in memory: 23 MB per minute of 48 kHz stereo.

        Returns:
            (C, T) float32 samples, C as in ``audio.channels`` (other layouts are mixed down to
            stereo), from the beginning of the used part to its end or a little later, and their
            rate in Hz.

        Raises:
            MediaError: if nothing can be decoded.
        """
        pieces: list[Tensor] = []
        rate = end = channels = 0
        with self.video.open() as (container, _):
            for time, samples, rate in decode_samples(container, self.index):
                progress("mux", 0, 1)
                begin = end if time is None else round((time - self.start) * rate)
                channels = samples.shape[0]
                if begin >= self.duration * rate:
                    break
                if end and abs(begin - end) <= _JITTER * rate:
                    begin = end
                if begin + samples.shape[1] > end:
                    gap = samples.new_zeros(samples.shape[0], max(0, begin - end))
                    pieces += [gap, samples[:, max(0, end - begin) :]]
                    end = begin + samples.shape[1]
        if not channels:
            raise MediaError(
                "the video's own audio track cannot be decoded; expected a codec that this PyAV"
                " knows",
                problem=Problem.SOURCE_AUDIO,
            )
        if not pieces:  # it holds nothing of the part
            pieces = [torch.zeros(channels, 1)]
        return torch.cat(pieces, 1), rate


def find_source_audio(
    video: VideoFile, start: Fraction, duration: Fraction, *, metadata: bool = True
) -> tuple[SourceAudio, ...]:
    """The file's audio tracks in codecs that libav knows, the one that it prefers first.

    Args:
        video, start, duration: see ``SourceAudio``.
        metadata: whether the tracks keep their names.
    """
    with video.open() as (container, _):
        best = container.streams.best("audio")
        known = [stream for stream in container.streams.audio if stream.codec_context]
        return tuple(
            SourceAudio(
                video=video,
                index=stream.index,
                codec=stream.codec_context.codec.canonical_name,
                notes=stream_notes(stream, metadata=metadata),
                start=start,
                duration=duration,
            )
            for stream in sorted(known, key=lambda stream: stream is not best)
        )


def audio_stream(container: InputContainer, index: int) -> AudioStream:
    """The audio track with that number in the file."""
    return next(stream for stream in container.streams.audio if stream.index == index)


def audio_packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """The track's packets up to its end or the first that cannot be read."""
    try:
        yield from container.demux(stream)
    except FFmpegError:
        return


def decode_samples(
    container: InputContainer, index: int
) -> Iterator[tuple[Fraction | None, Tensor, int]]:
    """Each frame that decodes: its time in seconds if it has one, (C, n) samples, their rate.

    Channels and rate are those of the first frame, even if the track's format changes midway.
    """
    stream = audio_stream(container, index)
    layout, rate = "", 0
    resampler = input_format = None
    for frame in _decode_frames(container, stream):
        if not rate:
            layout = standard_layout([channel.name for channel in frame.layout.channels])
            rate = frame.sample_rate
        if resampler is None or input_format != _format(frame):
            # interleaved: PyAV cannot read frames of more than seven planes
            resampler = av.AudioResampler(format="flt", layout=layout, rate=rate)
            input_format = _format(frame)
        time = None
        if frame.pts is not None and frame.time_base is not None:
            time = frame.pts * frame.time_base
            frame.pts = None
        try:
            converted = resampler.resample(frame)
        except (FFmpegError, ValueError):  # a damaged frame
            resampler = None
            continue
        for piece in converted:
            channels = len(piece.layout.channels)
            yield time, torch.from_numpy(piece.to_ndarray()).view(-1, channels).T, rate
            time = None


def _format(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _decode_frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    for packet in audio_packets(container, stream):
        try:
            yield from packet.decode()
        except (FFmpegError, ValueError):
            continue
