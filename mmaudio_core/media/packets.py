"""Times of a video stream's packets, and what they say of its length; almost nothing is decoded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..errors import MediaError
from .orientation import displayed_size
from .source import VideoInfo
from .timestamps import nominal_step, stores_no_pts, time_base

_INDEXED = {"mp4", "matroska", "avi"}
"""Containers whose index leads straight to the last key frame."""
_HEAD = 64
"""Packets in which the first frame shown is sure to be."""


class PacketTime(NamedTuple):
    """A packet's times in ticks; None if libav has none or only a guess."""

    pts: int | None
    dts: int | None
    discard: bool  # hidden by an edit list

    @property
    def shown(self) -> int | None:
        """When its frame is shown, as far as known."""
        return self.dts if self.pts is None else self.pts


@dataclass(frozen=True, kw_only=True)
class PacketIndex:
    """All packets of a video stream that can be read.

    Attributes:
        info: what they say of the video; its size is 0x0 if neither a frame nor the header has it.
        packets: the packets' times, in the order of the file.
        time_base: seconds per tick.
        start: when the first frame is shown, in seconds of the file's own clock.
    """

    info: VideoInfo
    packets: tuple[PacketTime, ...]
    time_base: Fraction
    start: Fraction

    def frame_times(self) -> list[Fraction]:
        """When each packet's frame is shown, in seconds after the first one, ascending.

        Packets that an edit list hides, or that have no time at all, are left out.
        """
        ticks = sorted(
            packet.shown
            for packet in self.packets
            if packet.shown is not None and not packet.discard
        )
        return [(tick - ticks[0]) * self.time_base for tick in ticks]


def index_packets(container: InputContainer, stream: VideoStream) -> PacketIndex:
    """Walk through all of a stream's packets, decoding only until a first frame comes out.

    Raises:
        MediaError: if there are no packets.
    """
    walk = _Walk(container, stream)
    for packet in read_packets(container, stream):
        walk.add(packet)
    if not walk.packets:
        raise MediaError(
            f"the {stream.codec_context.name} video stream holds no picture data; expected at least"
            " one frame. The file may be cut off: export or download it again."
        )
    return PacketIndex(
        info=walk.info(),
        packets=tuple(walk.packets),
        time_base=walk.time_base,
        start=(walk.first or 0) * walk.time_base,
    )


def info_from_ends(container: InputContainer, stream: VideoStream) -> VideoInfo | None:
    """As ``index_packets(...).info``, from the file's two ends alone; None if they do not tell."""
    indexed = not _INDEXED.isdisjoint(container.format.name.split(","))
    if not indexed or container.duration is None or not stream.time_base:
        return None
    walk = _Walk(container, stream)
    for packet in islice(read_packets(container, stream), _HEAD):
        walk.add(packet)
    head = walk.last
    if walk.first is None or head is None or walk.untimed:
        return None
    seconds = Fraction(container.duration, av.time_base)
    try:
        container.seek(walk.first + math.ceil(seconds / stream.time_base), stream=stream)
    except FFmpegError:
        return None
    walk.last = walk.last_but_one = None
    for packet in read_packets(container, stream):
        walk.add(packet)
    if walk.last is None or walk.last <= head or walk.untimed:
        return None
    if walk.last_but_one is None and not walk.last_duration:
        return None
    return walk.info()


def read_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets up to its end or the first that cannot be read."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except FFmpegError:
        return


class _Walk:
    """The packets of a stream so far. Those that an edit list hides do not count for its times."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        # Threads would hold the first frame back until several packets are in.
        stream.thread_type = "NONE"
        self.time_base = time_base(stream)
        self.packets: list[PacketTime] = []
        self.first: int | None = None  # ticks when the first frame is shown
        self.last: int | None = None
        self.last_but_one: int | None = None
        self.last_duration = 0  # ticks; 0 if unknown
        self.untimed = Fraction(0)  # seconds in packets without any time
        self._stream = stream
        self._step = nominal_step(stream)
        self._ignore_pts = stores_no_pts(container)
        self._size: tuple[int, int] | None = None

    def add(self, packet: Packet[VideoStream]) -> None:
        time = PacketTime(
            pts=None if self._ignore_pts else packet.pts,
            dts=packet.dts,
            discard=packet.is_discard,
        )
        self.packets.append(time)
        if self._size is None:
            frame = _first_frame(packet)
            self._size = None if frame is None else displayed_size(frame)
        if time.discard:
            return
        tick = time.shown
        if tick is None:
            self.untimed += packet.duration * self.time_base if packet.duration else self._step
            return
        self.first = tick if self.first is None else min(self.first, tick)
        if self.last is None or tick > self.last:
            self.last_but_one, self.last = self.last, tick
            self.last_duration = 0 if self._ignore_pts else packet.duration or 0
        elif self.last_but_one is None or tick > self.last_but_one:
            self.last_but_one = tick

    def info(self) -> VideoInfo:
        context = self._stream.codec_context
        width, height = self._size or (context.width, context.height)
        rate = self._stream.average_rate
        return VideoInfo(
            duration=self._duration() + self.untimed,
            width=width,
            height=height,
            frame_rate=Fraction(rate) if rate else None,
            codec=context.codec.canonical_name,
        )

    def _duration(self) -> Fraction:
        if self.first is None or self.last is None:
            return Fraction(0)
        if self.last_duration:
            last_frame = self.last_duration * self.time_base
        elif self.last_but_one is not None:
            last_frame = (self.last - self.last_but_one) * self.time_base
        else:
            last_frame = self._step
        return (self.last - self.first) * self.time_base + last_frame


def _first_frame(packet: Packet[VideoStream]) -> VideoFrame | None:
    try:
        frames = packet.decode()
    except (FFmpegError, ValueError):
        return None
    return frames[0] if frames else None
