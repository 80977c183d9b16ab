"""How long a video lasts, and its packets' times, from the packets alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..errors import MediaError
from .timestamps import nominal_step, stores_no_pts

_LARGE = 1 << 26
_INDEXED = {"mp4", "matroska", "avi"}
"""Containers whose index leads straight to the last key frame."""
_HEAD = 64
"""Packets in which the first frame shown is sure to be."""


@dataclass(frozen=True, kw_only=True)
class PacketSpan:
    """What a stream's packets say of its times.

    Args:
        begin: the first presentation time, in the stream's ticks; None when no packet has a time.
        duration: seconds from there to the end of the last frame.
        stamps: presentation and decoding time of every packet read, in ticks; None where libav
            has none or only a guess.
        frame: the first frame that decodes.
    """

    begin: int | None
    duration: Fraction
    stamps: tuple[tuple[int | None, int | None], ...]
    frame: VideoFrame | None


def packet_span(container: InputContainer, stream: VideoStream) -> PacketSpan:
    """Walk through all of a stream's packets, decoding only until a first frame comes out.

    Packets that an edit list hides count as packets, but not for the times.

    Raises:
        MediaError: when there are no packets.
    """
    walk = _Walk(container, stream)
    for packet in readable(container, stream):
        walk.add(packet)
    if not walk.stamps:
        raise MediaError(
            f"the {stream.codec_context.name} video stream holds no picture data; expected at least"
            " one frame. The file may be cut off: export or download it again."
        )
    return walk.span()


def shown_times(container: InputContainer, stream: VideoStream) -> list[Fraction]:
    """When each packet's frame is shown, in seconds after the first one, ascending.

    Packets that an edit list hides, or that have no time at all, are left out.
    """
    unit = Fraction(stream.time_base or Fraction(1, 25))
    only_dts = stores_no_pts(container)
    ticks: list[int] = []
    for packet in readable(container, stream):
        tick = packet.dts if only_dts or packet.pts is None else packet.pts
        if tick is not None and not packet.is_discard:
            ticks.append(tick)
    ticks.sort()
    return [(tick - ticks[0]) * unit for tick in ticks]


def is_large(container: InputContainer) -> bool:
    """Whether reading all of a file only for its length takes long and its end can be found."""
    return container.size >= _LARGE and not _INDEXED.isdisjoint(container.format.name.split(","))


def quick_span(container: InputContainer, stream: VideoStream) -> PacketSpan | None:
    """As ``packet_span`` but for most stamps, from the file's two ends; None where uncertain."""
    if container.duration is None or not stream.time_base:
        return None
    walk = _Walk(container, stream)
    for packet in islice(readable(container, stream), _HEAD):
        walk.add(packet)
    head = walk.last
    if walk.begin is None or head is None or walk.untimed:
        return None
    seconds = Fraction(container.duration, av.time_base)
    try:
        container.seek(walk.begin + math.ceil(seconds / stream.time_base), stream=stream)
    except FFmpegError:
        return None
    walk.last = walk.earlier = None
    for packet in readable(container, stream):
        walk.add(packet)
    if walk.last is None or walk.last <= head or walk.untimed:
        return None
    if walk.earlier is None and not walk.length:
        return None
    return walk.span()


def readable(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets up to its end or the first that cannot be read."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except FFmpegError:
        return


@dataclass
class _Walk:
    """What was seen of a stream's packets so far."""

    container: InputContainer
    stream: VideoStream
    stamps: list[tuple[int | None, int | None]] = field(default_factory=lambda: [])
    frame: VideoFrame | None = None
    begin: int | None = None  # the first presentation time
    last: int | None = None  # the last one
    earlier: int | None = None  # the last but one
    length: int = 0  # ticks the last frame lasts; 0 when that is unknown
    untimed: Fraction = Fraction(0)  # seconds in packets without any time

    def __post_init__(self) -> None:
        # Threads would hold the first frame back until several packets are in.
        self.stream.thread_type = "NONE"
        self._unit = Fraction(self.stream.time_base or Fraction(1, 25))
        self._step = nominal_step(self.stream)
        self._only_dts = stores_no_pts(self.container)

    def add(self, packet: Packet[VideoStream]) -> None:
        pts = None if self._only_dts else packet.pts
        self.stamps.append((pts, packet.dts))
        if self.frame is None:
            self.frame = _first_frame(packet)
        ticks = packet.dts if pts is None else pts
        if packet.is_discard:
            return
        if ticks is None:
            self.untimed += packet.duration * self._unit if packet.duration else self._step
            return
        self.begin = ticks if self.begin is None else min(self.begin, ticks)
        if self.last is None or ticks > self.last:
            self.earlier, self.last = self.last, ticks
            self.length = 0 if self._only_dts else packet.duration or 0
        elif self.earlier is None or ticks > self.earlier:
            self.earlier = ticks

    def span(self) -> PacketSpan:
        timed = Fraction(0)
        if self.begin is not None and self.last is not None:
            gap = self._step if self.earlier is None else (self.last - self.earlier) * self._unit
            timed = (self.last - self.begin) * self._unit + (self.length * self._unit or gap)
        return PacketSpan(
            begin=self.begin,
            duration=timed + self.untimed,
            stamps=tuple(self.stamps),
            frame=self.frame,
        )


def _first_frame(packet: Packet[VideoStream]) -> VideoFrame | None:
    try:
        frames = packet.decode()
    except (FFmpegError, ValueError):
        return None
    return frames[0] if frames else None
