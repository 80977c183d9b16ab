"""Encoding a part of a video, or images, in step with the audio."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Generic, TypeVar, cast

import av
import torch
from av.packet import Packet
from av.video.stream import VideoStream
from torch import Tensor

from ..config import SYNC_FPS
from ..media import Frame, FrameSource, ImageSequence, VideoFile
from ..media.decode import DecodedFrame
from ..media.timestamps import whole_frames
from ..media.webp import WebPFile
from ..progress import Progress
from .atomic_output import OutputFile
from .display_size import keep_pixel_aspect
from .file_pictures import WITHOUT_TRANSPARENCY, FilePictures
from .formats import OutputPlan
from .output_tracks import OutputTracks
from .video_encoder import EncodeFormat, add_video_stream

_TIME_BASE = Fraction(1, 90_000)
"""Seconds per tick where frames may follow no constant rate."""
_WITHOUT_LAST_DURATION = ("mkv", "webm")
"""Containers that do not store how long the last frame lasts; if it is long, it is repeated."""
_LONG = Fraction(5, 4)
"""From how many times the usual duration on a last frame is repeated."""

AnyFrame = TypeVar("AnyFrame", Frame, DecodedFrame)


@dataclass(frozen=True, kw_only=True)
class ShownFrame(Generic[AnyFrame]):
    """A frame and when it is shown, in seconds after the beginning of the part."""

    frame: AnyFrame
    time: Fraction
    end_time: Fraction


@dataclass(frozen=True, kw_only=True)
class VideoPart:
    """A part of a video.

    Attributes:
        source: the video.
        start, duration: the part of it, in seconds after the first frame.
    """

    source: FrameSource
    start: Fraction
    duration: Fraction

    def shown(self, frames: Iterable[AnyFrame]) -> Iterator[ShownFrame[AnyFrame]]:
        """Its frames among those of the video; the first is the one shown when it begins."""
        current: AnyFrame | None = None
        begin = Fraction(0)
        for frame in frames:
            time = max(frame.time - self.start, Fraction(0))
            if time >= self.duration:
                break
            if current is not None and time > begin:
                yield ShownFrame(frame=current, time=begin, end_time=time)
            if current is None or time >= begin:
                current, begin = frame, time
        if current is not None:
            yield ShownFrame(frame=current, time=begin, end_time=self.duration)


def encode_video(
    part: VideoPart,
    tracks: OutputTracks,
    plan: OutputPlan,
    output: OutputFile,
    progress: Progress,
) -> tuple[str, ...]:
    """Encode a part of a video into ``output``, with its audio and what is kept beside it.

    Returns:
        What of the picture is not as before, a sentence each.

    Raises:
        MediaError: if the video cannot be read, or its frame rate cannot be stored.
    """
    info = part.source.info
    time_base = _TIME_BASE
    notes: tuple[str, ...] = ()
    if isinstance(part.source, VideoFile):
        pictures = FilePictures(part.source, part.start, plan.pix_fmt, plan.encoded_codec)
        encode_format, notes = pictures.format, pictures.notes
        frames = (
            (pictures.convert(shown.frame), shown.time, shown.end_time)
            for shown in part.shown(pictures.frames())
        )
    else:
        if isinstance(part.source, ImageSequence):
            time_base = 1 / part.source.frame_rate.limit_denominator(100_000)
        if isinstance(part.source, WebPFile) and part.source.is_transparent:
            notes = (WITHOUT_TRANSPARENCY,)
        encode_format = EncodeFormat(info.width, info.height, plan.pix_fmt)
        frames = (
            (
                encode_format.frame(_pixels(part.source, shown.frame, encode_format.is_deep)),
                shown.time,
                shown.end_time,
            )
            for shown in part.shown(part.source.frames(part.start))
        )
    stream = add_video_stream(
        output.container, plan, encode_format, frame_rate=info.frame_rate, time_base=time_base
    )
    tracks.kept.describe_picture(stream)
    if encode_format.pixel_aspect != 1:
        keep_pixel_aspect(output, stream, encode_format.pixel_aspect)
    encoder = _Encoder(stream, time_base)
    step = 1 / (info.frame_rate or Fraction(SYNC_FPS))
    repeats_last = plan.container in _WITHOUT_LAST_DURATION
    total = max(1, whole_frames(part.duration, SYNC_FPS))
    with tracks.add_to(output.container) as writer:
        for frame, time, end_time in frames:
            progress("encode", min(total, whole_frames(time, SYNC_FPS)), total)
            writer.write_until(time)
            output.container.mux(encoder.encode(frame, time, end_time))
            if repeats_last and end_time >= part.duration and end_time - time > step * _LONG:
                output.container.mux(encoder.encode(frame, end_time - step, end_time))
        notes += writer.finish()
        output.container.mux(encoder.finish())
    progress("encode", total, total)
    return notes


class _Encoder:
    """Encodes frames into packets that last as long as their frames."""

    def __init__(self, stream: VideoStream, time_base: Fraction) -> None:
        self._stream = stream
        self._time_base = time_base
        self._durations: dict[int, int] = {}

    def encode(
        self, frame: av.VideoFrame, time: Fraction, end_time: Fraction
    ) -> list[Packet[VideoStream]]:
        frame.time_base = self._time_base
        frame.pts = round(time / self._time_base)
        self._durations[frame.pts] = round(end_time / self._time_base) - frame.pts
        return self._with_durations(cast("list[Any]", self._stream.encode(frame)))

    def finish(self) -> list[Packet[VideoStream]]:
        return self._with_durations(cast("list[Any]", self._stream.encode(None)))

    def _with_durations(self, packets: list[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
        for packet in packets:
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, packet.duration or 0)
        return packets


def _pixels(source: FrameSource, frame: Frame, deep: bool) -> Tensor:
    """(H, W, 3) uint8, or for deep formats 16 bits in int32 if the source has more than 8."""
    rgb = frame.rgb()  # refuses NaN and infinity
    if not deep or not isinstance(source, ImageSequence):
        return rgb
    image = source.images[round(frame.time * source.frame_rate), ..., :3]
    image = image.detach().to("cpu", torch.float32)
    return image.clamp(0, 1).mul(65535).round().to(torch.int32)
