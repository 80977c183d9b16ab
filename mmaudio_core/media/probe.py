"""How long a video is, what it looks like, when its frames are shown, without decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from av.video.stream import VideoStream
from torch import Tensor

from ..errors import MediaError
from .orientation import displayed_size
from .packets import PacketSpan, is_large, packet_span, quick_span, shown_times
from .source import ImageSequence, VideoSource, check_size, open_video, undecodable
from .timestamps import SYNC_RATE
from .webp import is_webp, read_webp, webp_frames

SHORTEST = Fraction(16, SYNC_RATE)
"""Seconds of video below which there is no sync segment (16 frames)."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """A video at a glance.

    Args:
        duration: seconds from the first frame shown to the end of the last one.
        width, height: pixels as shown, display rotation applied.
        frame_rate: the average the file claims; None when it claims none.
        codec: the picture's codec, for instance ``h264``; ``images`` for images.
    """

    duration: Fraction
    width: int
    height: int
    frame_rate: Fraction | None
    codec: str


def probe(source: VideoSource | ImageSequence) -> VideoInfo:
    """Read a video's length from its packets; of the pictures only the first is decoded.

    Raises:
        MediaError: when the file is missing, empty, damaged, or has no video.
    """
    if isinstance(source, ImageSequence):
        count, height, width, _ = source.images.shape
        return VideoInfo(
            duration=count / source.frame_rate,
            width=width,
            height=height,
            frame_rate=source.frame_rate,
            codec="images",
        )
    if is_webp(source):
        webp = read_webp(source)
        return VideoInfo(
            duration=webp.times[-1],
            width=webp.width,
            height=webp.height,
            frame_rate=len(webp.lengths) / webp.times[-1],
            codec="webp",
        )
    with open_video(source) as (container, stream):
        if not is_large(container):
            return _info(source, stream, packet_span(container, stream))
        span = quick_span(container, stream)
        if span is not None:
            return _info(source, stream, span)
    with open_video(source) as (container, stream):
        return _info(source, stream, packet_span(container, stream))


def frame_times(source: VideoSource | ImageSequence) -> list[Fraction]:
    """When each frame is shown, in seconds after the first one; nothing is decoded.

    Raises:
        MediaError: as ``probe``.
    """
    if isinstance(source, ImageSequence):
        return [number / source.frame_rate for number in range(len(source.images))]
    if is_webp(source):
        return list(read_webp(source).times[:-1])
    with open_video(source) as (container, stream):
        return shown_times(container, stream)


def still_image(source: VideoSource | ImageSequence) -> Tensor | None:
    """The picture (H, W, C) in [0, 1] of what is one image and no video; None for a video.

    Raises:
        MediaError: a WebP file that cannot be read.
    """
    if isinstance(source, ImageSequence):
        return source.images[0] if len(source.images) == 1 else None
    if not is_webp(source) or len(read_webp(source).lengths) > 1:
        return None
    return next(webp_frames(source, Fraction(0))).rgb().float() / 255


def _info(source: VideoSource, stream: VideoStream, span: PacketSpan) -> VideoInfo:
    context = stream.codec_context
    if span.frame is not None:
        check_size(span.frame)
    size = displayed_size(span.frame) if span.frame else (context.width, context.height)
    if 0 in size:  # neither a frame nor the file tells it
        raise undecodable(source, stream)
    return VideoInfo(
        duration=span.duration,
        width=size[0],
        height=size[1],
        frame_rate=Fraction(stream.average_rate) if stream.average_rate else None,
        codec=context.codec.canonical_name,
    )


def resolve_range(available: Fraction, start: Fraction, duration: Fraction | None) -> Fraction:
    """The seconds that can be used from ``start`` on.

    Args:
        available: the video's length in seconds.
        start: where to begin, in seconds.
        duration: seconds wanted; None or 0 means to the video's end.

    Returns:
        ``duration``, cut to what there is.

    Raises:
        MediaError: when ``start`` or ``duration`` is negative, ``start`` is at or past the end, or
            less than 0.64 s is left.
    """
    if start < 0 or (duration is not None and duration < 0):
        raise MediaError(
            f"a start of {float(start):g} s and a duration of {float(duration or 0):g} s were"
            " given; neither can be negative. Set them to 0 or more."
        )
    if start >= available:
        raise MediaError(
            f"the start of {float(start):g} s lies at or past the end of the video, which lasts"
            f" {float(available):g} s; expected an earlier start. Lower start_offset."
        )
    usable = min(duration or available, available - start)
    if usable < SHORTEST:
        raise MediaError(
            f"only {float(usable):g} s of video would be used (it lasts {float(available):g} s, the"
            f" start is {float(start):g} s); at least {float(SHORTEST):g} s (16 frames at 25 a"
            " second) is needed. Raise duration, lower start_offset or use a longer video."
        )
    return usable
