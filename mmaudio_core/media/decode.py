"""Pictures in the order they are shown, each with its exact time; converted only when asked."""

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
from .frame import Frame
from .orientation import frame_orientation
from .resize import to_bytes
from .source import (
    ImageSequence,
    VideoSource,
    check_size,
    open_video,
    reason,
    undecodable,
    use_threads,
)
from .timestamps import FrameClock, FrameTime
from .webp import is_webp, webp_frames

_WORTH_SEEKING = 2
"""Seconds of start below which decoding from the beginning is as fast as seeking."""
_SEEK_EARLIER = (0, 2, 10)
"""Seconds before the wanted time to try, as some formats land late."""


Timed: TypeAlias = Generator[tuple[FrameTime, VideoFrame], None, None]
"""Decoded frames with their times."""


def decode_frames(source: VideoSource | ImageSequence, start: Fraction) -> Iterator[Frame]:
    """All pictures from one shown no later than ``start`` on.

    Raises:
        MediaError: when the file cannot be read or none of its frames decodes.
    """
    if isinstance(source, ImageSequence):
        return _images(source, start)
    if is_webp(source):
        return webp_frames(source, start)
    return _decoded(source, start)


def _images(source: ImageSequence, start: Fraction) -> Iterator[Frame]:
    step = 1 / source.frame_rate
    count = source.images.shape[0]
    for index in range(min(int(start / step), count - 1), count):

        def rgb(index: int = index) -> Tensor:
            return to_bytes(source.images[index])

        yield Frame(time=index * step, end_time=(index + 1) * step, rgb=rgb)


def _decoded(source: VideoSource, start: Fraction) -> Iterator[Frame]:
    converter = VideoReformatter()

    def picture(stamp: FrameTime, frame: VideoFrame, zero: Fraction) -> Frame:
        return Frame(
            time=stamp.time - zero,
            end_time=stamp.end_time - zero,
            rgb=lambda: _to_rgb(frame, converter),
        )

    with open_video(source) as (container, stream):
        use_threads(stream)
        frames = _frames(container, stream)
        first = next(frames, None)
        if first is None:
            raise undecodable(source, stream)
        zero = first[0].time
        sought = None
        if first[0].exact and start >= _WORTH_SEEKING:
            frames.close()
            sought = _seek(container, stream, zero, zero + start)
        if sought is not None or start < _WORTH_SEEKING or not first[0].exact:
            if sought is None:
                yield picture(*first, zero)
            for stamp, frame in sought or frames:
                yield picture(stamp, frame, zero)
            return
    with open_video(source) as (container, stream):
        use_threads(stream)
        for stamp, frame in _frames(container, stream):
            yield picture(stamp, frame, zero)


def _seek(
    container: InputContainer, stream: VideoStream, zero: Fraction, target: Fraction
) -> Timed | None:
    """Frames from a key frame at or before ``target`` on; None where seeking cannot be trusted."""
    unit = stream.time_base
    if not unit:
        return None
    for earlier in _SEEK_EARLIER:
        wanted = max(zero, target - earlier)
        try:
            container.seek(int(wanted / unit), stream=stream)
        except FFmpegError:
            return None
        frames = _frames(container, stream)
        for stamp, frame in frames:
            # What a decoder shows before the key frame refers to frames that it has not seen.
            if not frame.key_frame:
                continue
            if stamp.exact and zero <= stamp.time <= target:
                return _chain((stamp, frame), frames)
            break
        frames.close()
    return None


def _chain(first: tuple[FrameTime, VideoFrame], rest: Timed) -> Timed:
    yield first
    yield from rest


def _frames(container: InputContainer, stream: VideoStream) -> Timed:
    """Every frame that decodes; damage in between is skipped, a broken tail ends it."""
    clock = FrameClock(container, stream)
    for packet in _packets(container, stream):
        if packet is not None:
            clock.sent(packet)
        try:
            frames = _decode(packet, stream)
        except (FFmpegError, ValueError):
            continue
        for frame in frames:
            check_size(frame)
            yield clock.stamp(frame), frame


def _decode(packet: Packet[VideoStream] | None, stream: VideoStream) -> list[VideoFrame]:
    if packet is not None:
        return packet.decode()
    return stream.codec_context.decode()  # pyright: ignore[reportUnknownMemberType]


def _packets(
    container: InputContainer, stream: VideoStream
) -> Iterator[Packet[VideoStream] | None]:
    """The stream's packets; None, which empties the decoder, after an unreadable one."""
    try:
        yield from container.demux(stream)
    except FFmpegError:
        yield None


def _without_matrix(frame: VideoFrame, converter: VideoReformatter) -> VideoFrame:
    try:
        return converter.reformat(frame, format="rgb24", src_colorspace=Colorspace.DEFAULT)
    except FFmpegError as error:
        raise MediaError(
            f"a frame of {frame.width}x{frame.height} pixels cannot be turned into RGB"
            f" ({reason(error)}); expected a common pixel format, not {frame.format.name}. Export"
            " the video again, for instance as H.264 in mp4."
        ) from error


def _to_rgb(frame: VideoFrame, converter: VideoReformatter) -> Tensor:
    """(H, W, 3) uint8: what ``to_ndarray(format="rgb24")`` gives, without its copy, upright."""
    try:
        rgb = converter.reformat(frame, format="rgb24")
    except FFmpegError:  # a rare or damaged YCbCr matrix, such as BT.2020's constant luminance
        rgb = _without_matrix(frame, converter)
    plane = rgb.planes[0]
    rows = torch.frombuffer(plane, dtype=torch.uint8).view(rgb.height, plane.line_size)
    return frame_orientation(frame)(rows[:, : rgb.width * 3].view(rgb.height, rgb.width, 3))
