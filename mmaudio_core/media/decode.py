"""Decoding a stream into frames with exact times, converted to RGB only on demand."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import TypeAlias

import torch
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream
from torch import Tensor

from ..errors import MediaError
from .container import error_text
from .orientation import frame_orientation
from .source import Frame, check_frame_size
from .timestamps import FrameClock, FrameTime

_SEEK_MARGINS = (0, 2, 10)
"""Seconds before the target to seek to, one after another, as some formats land late."""

TimedFrames: TypeAlias = Generator[tuple[FrameTime, VideoFrame], None, None]


def decode_stream(container: InputContainer, stream: VideoStream) -> TimedFrames:
    """Every frame that decodes; damage in between is skipped, a broken tail ends it.

    Raises:
        MediaError: if a frame is too large.
    """
    clock = FrameClock(container, stream)
    for packet in _packets(container, stream):
        if packet is not None:
            clock.sent(packet)
        try:
            frames = _decode(packet, stream)
        except (FFmpegError, ValueError):
            continue
        for frame in frames:
            check_frame_size(frame.width, frame.height)
            yield clock.time(frame), frame


def seek_and_decode(
    container: InputContainer, stream: VideoStream, zero: Fraction, target: Fraction
) -> TimedFrames | None:
    """Frames from a key frame at or before ``target`` on; None if seeking cannot be trusted.

    Args:
        container, stream: the file.
        zero: time of the first frame, in seconds of the file's own clock.
        target: the time wanted, in seconds of that clock.
    """
    if not stream.time_base:
        return None
    for margin in _SEEK_MARGINS:
        try:
            container.seek(int(max(zero, target - margin) / stream.time_base), stream=stream)
        except FFmpegError:
            return None
        frames = decode_stream(container, stream)
        # Frames that come out before the key frame refer to others that were not decoded.
        first = next((pair for pair in frames if pair[1].key_frame), None)
        if first is not None and first[0].exact and zero <= first[0].time <= target:
            return _chain(first, frames)
        frames.close()
    return None


class FrameConverter:
    """Turns decoded frames into ``Frame``, with times relative to the first one shown.

    Args:
        zero: time of the first frame, in seconds of the file's own clock.
    """

    def __init__(self, zero: Fraction) -> None:
        self.zero = zero
        self._reformatter = VideoReformatter()

    def __call__(self, time: FrameTime, frame: VideoFrame) -> Frame:
        return Frame(
            time=time.time - self.zero,
            end_time=time.end_time - self.zero,
            rgb=lambda: self._to_rgb(frame),
        )

    def _to_rgb(self, frame: VideoFrame) -> Tensor:
        """(H, W, 3) uint8, upright; like ``to_ndarray(format="rgb24")`` but without its copy."""
        try:
            rgb = self._reformatter.reformat(frame, format="rgb24")
        except FFmpegError:  # a rare or damaged YCbCr matrix, such as BT.2020's constant luminance
            rgb = self._without_matrix(frame)
        plane = rgb.planes[0]
        rows = torch.frombuffer(plane, dtype=torch.uint8).view(rgb.height, plane.line_size)
        return frame_orientation(frame)(rows[:, : rgb.width * 3].view(rgb.height, rgb.width, 3))

    def _without_matrix(self, frame: VideoFrame) -> VideoFrame:
        try:
            return self._reformatter.reformat(
                frame, format="rgb24", src_colorspace=Colorspace.DEFAULT
            )
        except FFmpegError as error:
            raise MediaError(
                f"a frame of {frame.width}x{frame.height} pixels cannot be converted to RGB"
                f" ({error_text(error)}); expected a common pixel format, got {frame.format.name}."
                " Export the video again, for instance as H.264 in mp4."
            ) from error


def _chain(first: tuple[FrameTime, VideoFrame], rest: TimedFrames) -> TimedFrames:
    yield first
    yield from rest


def _decode(packet: Packet[VideoStream] | None, stream: VideoStream) -> list[VideoFrame]:
    if packet is not None:
        return packet.decode()
    return stream.codec_context.decode()  # pyright: ignore[reportUnknownMemberType]


def _packets(
    container: InputContainer, stream: VideoStream
) -> Iterator[Packet[VideoStream] | None]:
    """The stream's packets; None, which flushes the decoder, after an unreadable one."""
    try:
        yield from container.demux(stream)
    except FFmpegError:
        yield None
