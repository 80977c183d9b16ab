"""Times of a video stream's packets, and what they say of its length; almost nothing is decoded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from typing import NamedTuple

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..errors import MediaError
from .compat import demux
from .cropping import FrameCropper, read_crop
from .orientation import displayed_size
from .source import VideoInfo
from .timestamps import average_rate, nominal_step, stores_no_pts, time_base

_INDEXED = {"mp4", "matroska", "avi"}
"""Containers whose index leads straight to the last key frame."""
_HEAD = 64
"""Packets in which the first frame shown is sure to be."""


_MAY_RESTART = 0x0200
"""libav's AVFMT_TS_DISCONT: the times of such a file may jump, as where two were joined."""
_RESTART = Fraction(1, 2)
"""Seconds back from which on a jump is none of a few disordered packets."""


class PacketTime(NamedTuple):
    """A packet's times, in ticks.

    Attributes:
        pts, dts: presentation and decoding time; None if libav has none or only a guess. If a
            packet has neither, all of the file's go by decoding times.
        duration: 0 if unknown.
        hidden: an edit list hides the packet's frame.
        key: decoding can begin here.
    """

    pts: int | None
    dts: int | None
    duration: int
    hidden: bool
    key: bool

    @property
    def shown(self) -> int | None:
        """When the frame is shown, as far as known."""
        return self.dts if self.pts is None else self.pts


@dataclass(frozen=True, kw_only=True)
class PacketIndex:
    """All packets of a video stream that can be read.

    Attributes:
        info: what they say of the video; its size is 0x0 if neither a frame nor the header has it.
        packets: the packets' times, in the order of the file.
        time_base: seconds per tick.
        start: when the first frame is shown, in seconds of the file's own clock.
        reorders: frames may be shown in another order than that of the packets.
    """

    info: VideoInfo
    packets: tuple[PacketTime, ...]
    time_base: Fraction
    start: Fraction
    reorders: bool

    def frame_times(self) -> list[Fraction]:
        """When each packet's frame is shown, in seconds after the first one, ascending.

        Packets that an edit list hides are left out.
        """
        ticks = _shown_ticks(self.packets)
        return [(tick - ticks[0]) * self.time_base for tick in ticks]


def index_packets(container: InputContainer, stream: VideoStream) -> PacketIndex:
    """Walk through all of a stream's packets, decoding only until a first frame comes out.

    Raises:
        MediaError: if there are no packets.
    """
    reader = _PacketReader(container, stream)
    packets = list(reader)
    if not packets:
        raise MediaError(
            f"the {stream.codec_context.name} video stream holds no picture data; expected at least"
            " one frame. The file may be cut off: export or download it again."
        )
    if int(container.format.flags) & _MAY_RESTART:
        check_restarts(
            [packet.dts for packet in packets if packet.dts is not None], reader.time_base
        )
    first = next(iter(_shown_ticks(packets)), 0)
    step = max(1, round(nominal_step(stream) / reader.time_base))
    packets = _with_all_times(packets, step)
    return PacketIndex(
        info=reader.info(packets),
        packets=tuple(packets),
        time_base=reader.time_base,
        start=first * reader.time_base,
        reorders=bool(stream.codec_context.has_b_frames),
    )


def check_restarts(dts: Sequence[int], unit: Fraction) -> None:
    """Refuse a video whose times start again, so that its pictures would overlap.

    A single wrong time, as in a damaged file, is no restart: those before and after a jump ascend.

    Args:
        dts: decoding times in the order of the file.
        unit: seconds per tick.
    """
    steps = [(later - earlier) * unit for earlier, later in pairwise(dts)]
    for number, step in enumerate(steps):
        around = steps[max(0, number - 1) : number + 2]
        if step <= -_RESTART and sum(0 <= near < _RESTART for near in around) == 2:
            raise MediaError(
                f"the video's times jump back by {float(-step):g} s after its packet {number + 1}"
                f" of {len(dts)}, so its pictures would overlap; expected times that ascend. Files"
                " that were joined byte by byte are like that: export the video again as one, for"
                " instance as mp4."
            )


def info_from_ends(container: InputContainer, stream: VideoStream) -> VideoInfo | None:
    """As ``index_packets(...).info``, from the file's two ends alone; None if they do not tell."""
    indexed = not _INDEXED.isdisjoint(container.format.name.split(","))
    if not indexed or container.duration is None or not stream.time_base:
        return None
    reader = _PacketReader(container, stream)
    head = list(islice(reader, _HEAD))
    head_ticks = _shown_ticks(head)
    if not head_ticks:
        return None
    seconds = Fraction(container.duration, av.time_base)
    try:
        container.seek(head_ticks[0] + math.ceil(seconds / stream.time_base), stream=stream)
    except FFmpegError:
        return None
    tail = list(reader)
    tail_ticks = _shown_ticks(tail)
    if not tail_ticks or tail_ticks[-1] <= head_ticks[-1]:
        return None
    if any(packet.shown is None for packet in head + tail if not packet.hidden):
        return None
    if len(tail_ticks) == 1 and not _last(tail).duration:
        return None
    return reader.info(head + tail)


def read_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets up to its end or the first that cannot be read."""
    try:
        for packet in demux(container, stream):
            if packet.size:
                yield packet
    except FFmpegError:
        return


def decode_packet(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """The frames that come out of the decoder for a packet; None flushes it.

    Raises:
        FFmpegError, ValueError: if the packet is damaged.
    """
    if packet is not None:
        return packet.decode()
    return stream.codec_context.decode()  # pyright: ignore[reportUnknownMemberType]


class _PacketReader:
    """Reads packets' times, decoding until the first frame comes out, for its size."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        # Threads would hold the first frame back until several packets are in.
        stream.thread_type = "NONE"
        self.time_base = time_base(stream)
        self._container = container
        self._stream = stream
        self._crop = FrameCropper(read_crop(container, stream))
        self._size: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[PacketTime]:
        ignore_pts = stores_no_pts(self._container)
        for packet in read_packets(self._container, self._stream):
            self._decode(packet)
            yield PacketTime(
                pts=None if ignore_pts else packet.pts,
                dts=packet.dts,
                duration=0 if ignore_pts else packet.duration or 0,
                hidden=packet.is_discard,
                key=packet.is_keyframe,
            )
        self._decode(None)  # a decoder may hold the only frames back

    def info(self, packets: list[PacketTime]) -> VideoInfo:
        """What packets that include the stream's first and last say of it."""
        context = self._stream.codec_context
        width, height = self._size or (context.width, context.height)
        return VideoInfo(
            duration=self._duration(packets),
            width=width,
            height=height,
            frame_rate=average_rate(self._stream),
            codec=context.codec.canonical_name,
            bit_depth=_bit_depth(self._stream),
        )

    def _decode(self, packet: Packet[VideoStream] | None) -> None:
        """Note the size of the first frame that comes out; None flushes the decoder."""
        if self._size is None:
            frame = _first_frame(self._stream, packet)
            self._size = None if frame is None else displayed_size(self._crop(frame))

    def _duration(self, packets: list[PacketTime]) -> Fraction:
        ticks = _shown_ticks(packets)
        if not ticks:
            return Fraction(0)
        step = nominal_step(self._stream)
        gap = (ticks[-1] - ticks[-2]) * self.time_base if len(ticks) > 1 else step
        span = (ticks[-1] - ticks[0]) * self.time_base
        return Fraction(span + (_last(packets).duration * self.time_base or gap))


def _with_all_times(packets: list[PacketTime], step: int) -> list[PacketTime]:
    """Packets by decoding times alone if some have no time: those follow their predecessors.

    Args:
        packets: as the file has them.
        step: ticks that a packet lasts that does not say how long.
    """
    if all(packet.shown is not None for packet in packets):
        return packets
    lengths = [packet.duration or step for packet in packets]
    known = next((i for i, packet in enumerate(packets) if packet.dts is not None), 0)
    following = (packets[known].dts or 0) - sum(lengths[:known])
    filled: list[PacketTime] = []
    for packet, length in zip(packets, lengths, strict=True):
        dts = following if packet.dts is None else packet.dts
        following = dts + length
        filled.append(packet._replace(pts=None, dts=dts))
    return filled


def _shown_ticks(packets: Iterable[PacketTime]) -> list[int]:
    """When frames are shown, ascending; without those hidden or without a time."""
    return sorted(
        packet.shown for packet in packets if packet.shown is not None and not packet.hidden
    )


def _last(packets: list[PacketTime]) -> PacketTime:
    """The packet whose frame is shown last."""
    return max(
        (packet for packet in packets if not packet.hidden),
        key=lambda packet: -math.inf if packet.shown is None else packet.shown,
    )


def _bit_depth(stream: VideoStream) -> int:
    """8 where the header does not tell the pixel format."""
    form = stream.codec_context.format
    return max((component.bits for component in form.components), default=8) if form else 8


def _first_frame(stream: VideoStream, packet: Packet[VideoStream] | None) -> VideoFrame | None:
    with suppress(FFmpegError, ValueError):
        return next(iter(decode_packet(stream, packet)), None)
    return None
