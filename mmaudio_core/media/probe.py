"""How long a video is and what it looks like, without decoding it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..errors import MediaError
from .orientation import turned_size
from .source import ImageSequence, VideoSource, open_video
from .timing import SYNC_RATE, nominal_step, stores_no_pts

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
    with open_video(source) as (container, stream):
        span = packet_span(container, stream)
        context = stream.codec_context
        size = turned_size(span.frame) if span.frame else (context.width, context.height)
        return VideoInfo(
            duration=span.duration,
            width=size[0],
            height=size[1],
            frame_rate=stream.average_rate or None,
            codec=context.codec.canonical_name,
        )


def check_span(available: Fraction, start: Fraction, duration: Fraction | None) -> Fraction:
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


@dataclass(frozen=True, kw_only=True)
class PacketSpan:
    """What a stream's packets say of its times.

    Args:
        begin: the first presentation time, in the stream's ticks; None when no packet has a time.
        duration: seconds from there to the end of the last frame.
        stamps: presentation and decoding time of every packet, in ticks; None where libav has
            none or only a guess.
        frame: the first frame that decodes.
    """

    begin: int | None
    duration: Fraction
    stamps: tuple[tuple[int | None, int | None], ...]
    frame: VideoFrame | None


def packet_span(container: InputContainer, stream: VideoStream) -> PacketSpan:
    """Walk through a stream's packets, decoding only until a first frame comes out.

    Packets that an edit list hides count as packets, but not for the times.

    Raises:
        MediaError: when there are no packets.
    """
    # Threads would hold the first frame back until several packets are in.
    stream.thread_type = "NONE"
    unit = Fraction(stream.time_base or Fraction(1, 25))
    step = nominal_step(stream)
    only_dts = stores_no_pts(container)
    frame: VideoFrame | None = None
    stamps: list[tuple[int | None, int | None]] = []
    untimed = Fraction(0)
    begin: int | None = None
    last: int | None = None
    earlier: int | None = None  # the last but one
    length = 0  # of the last
    for packet in readable(container, stream):
        pts = None if only_dts else packet.pts
        stamps.append((pts, packet.dts))
        if frame is None:
            frame = _first_frame(packet)
        ticks = packet.dts if pts is None else pts
        if packet.is_discard:
            continue
        if ticks is None:
            untimed += packet.duration * unit if packet.duration else step
        elif last is None or ticks > last:
            earlier, last = last, ticks
            length = 0 if only_dts else packet.duration or 0
        elif earlier is None or ticks > earlier:
            earlier = ticks
        if ticks is not None:
            begin = ticks if begin is None else min(begin, ticks)
    if not stamps:
        raise MediaError(
            f"the {stream.codec_context.name} video stream holds no picture data; expected at least"
            " one frame. The file may be cut off: export or download it again."
        )
    timed = Fraction(0)
    if begin is not None and last is not None:
        gap = step if earlier is None else (last - earlier) * unit
        timed = (last - begin) * unit + (length * unit or gap)
    return PacketSpan(begin=begin, duration=timed + untimed, stamps=tuple(stamps), frame=frame)


def readable(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets up to its end or the first that cannot be read."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except FFmpegError:
        return


def _first_frame(packet: Packet[VideoStream]) -> VideoFrame | None:
    try:
        frames = packet.decode()
    except (FFmpegError, ValueError):
        return None
    return frames[0] if frames else None
