"""Decoding a stream into frames with exact times, converted to RGB only on demand."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
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
from .color import RGB_FORMAT, FrameColor, SdrConverter, frame_color
from .compat import demux, rgb_options
from .container import error_text
from .cropping import FrameCropper, read_crop
from .orientation import frame_orientation
from .packets import decode_packet
from .source import Frame, check_frame_size
from .timestamps import FrameClock, FrameTime

_UNSPECIFIED = 2
_BT2020_MATRIX = 9
_DEFAULT_MATRIX = Colorspace.DEFAULT
"""BT.601 whatever the size, as in training; players take BT.709 for pictures in HD."""
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
            frames = decode_packet(stream, packet)
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
            return chain_frames(first, frames)
        frames.close()
    return None


@dataclass(frozen=True, kw_only=True)
class DecodedFrame:
    """A frame as decoded, neither upright nor converted.

    Attributes:
        time: seconds after the first frame shown.
        end_time: when the frame ends if no other follows, in seconds.
        picture: the frame.
        color: what its colors mean; None if they are SDR BT.709 or close to it.
    """

    time: Fraction
    end_time: Fraction
    picture: VideoFrame
    color: FrameColor | None


def place_frames(
    frames: TimedFrames, container: InputContainer, stream: VideoStream, zero: Fraction
) -> Generator[DecodedFrame, None, None]:
    """Make times relative to the first frame shown, crop, and tell colors.

    Args:
        frames: what was decoded.
        container, stream: what they come from.
        zero: time of the first frame shown, in seconds of the file's own clock.
    """
    context = (stream.codec_context.color_trc, stream.codec_context.color_primaries)
    crop = FrameCropper(read_crop(container, stream))
    for time, frame in frames:
        yield DecodedFrame(
            time=time.time - zero,
            end_time=time.end_time - zero,
            picture=crop(frame),
            color=frame_color(frame, context),
        )


class FrameConverter:
    """Turns decoded frames into ``Frame``, which is converted to RGB on demand."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._to_sdr: dict[FrameColor, SdrConverter] = {}

    def __call__(self, decoded: DecodedFrame) -> Frame:
        return Frame(
            time=decoded.time, end_time=decoded.end_time, rgb=lambda: self._to_rgb(decoded)
        )

    def _to_rgb(self, decoded: DecodedFrame) -> Tensor:
        """(H, W, 3) uint8, upright, SDR BT.709."""
        frame, color = decoded.picture, decoded.color
        if color is None:
            image = _packed_rgb(self._reformat(frame, "rgb24", _DEFAULT_MATRIX))
        else:
            if color not in self._to_sdr:
                self._to_sdr = {color: SdrConverter(color)}
            image = self._to_sdr[color](self._reformat(frame, RGB_FORMAT, _BT2020_MATRIX))
        return frame_orientation(frame)(image)

    def _reformat(self, frame: VideoFrame, pix_fmt: str, fallback: int) -> VideoFrame:
        """Convert a frame; ``fallback`` replaces a matrix that is not told, rare or damaged."""
        told = frame.format.is_rgb or frame.colorspace != _UNSPECIFIED
        with suppress(FFmpegError):  # for instance BT.2020's constant luminance
            options = rgb_options(frame, None if told else fallback)
            return self._reformatter.reformat(frame, format=pix_fmt, **options)
        try:
            options = rgb_options(frame, fallback)
            return self._reformatter.reformat(frame, format=pix_fmt, **options)
        except FFmpegError as error:
            raise MediaError(
                f"a frame of {frame.width}x{frame.height} pixels cannot be converted to RGB"
                f" ({error_text(error)}); expected a common pixel format, got {frame.format.name}."
                " Export the video again, for instance as H.264 in mp4."
            ) from error


def _packed_rgb(frame: VideoFrame) -> Tensor:
    """(H, W, 3) uint8 of an rgb24 frame; like its ``to_ndarray`` but without a copy."""
    plane = frame.planes[0]
    rows = torch.frombuffer(plane, dtype=torch.uint8).view(frame.height, plane.line_size)
    return rows[:, : frame.width * 3].view(frame.height, frame.width, 3)


def chain_frames(first: tuple[FrameTime, VideoFrame], rest: TimedFrames) -> TimedFrames:
    """The first frame, which was taken from ``rest``, before it."""
    yield first
    yield from rest


def _packets(
    container: InputContainer, stream: VideoStream
) -> Iterator[Packet[VideoStream] | None]:
    """The stream's packets; None, which flushes the decoder, after an unreadable one."""
    try:
        yield from demux(container, stream)
    except FFmpegError:
        yield None
