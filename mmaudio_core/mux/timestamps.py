"""Times that every container takes, for packets of files whose own are missing or wrong."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from ..media import VideoFile
from ..media.packets import read_packets
from ..media.timestamps import nominal_step, time_base


@dataclass(frozen=True, kw_only=True)
class PacketTimes:
    """A packet's times in its stream's ticks."""

    pts: int
    dts: int


def packet_times(video: VideoFile) -> list[PacketTimes]:
    """Times of every packet relative to the first frame shown.

    Presentation times are the file's own; where it has none (AVI, raw streams), those of its
    frames as they come out of a decoder. Decoding times are replaced where they are missing, do
    not ascend or lie after their frames, as no container takes those.
    """
    index = video.packets
    begin = round(index.start / index.time_base)
    pts = [packet.pts for packet in index.packets if packet.pts is not None]
    if len(pts) < len(index.packets):
        pts = _recovered(video)
        begin = min(pts, default=0)
    dts = [packet.dts for packet in index.packets if packet.dts is not None]
    if not _usable(pts, dts):
        dts = _decoding(pts)
    return [PacketTimes(pts=p - begin, dts=d - begin) for p, d in zip(pts, dts, strict=True)]


def _usable(pts: list[int], dts: list[int]) -> bool:
    return (
        len(pts) == len(dts)
        and all(earlier < later for earlier, later in pairwise(dts))
        and all(p >= d for p, d in zip(pts, dts, strict=True))
    )


def _decoding(pts: list[int]) -> list[int]:
    """Ascending decoding times, the latest that precede their frames but for a constant."""
    dts: list[int] = []
    for time in sorted(pts):
        dts.append(max(time, dts[-1] + 1) if dts else time)
    late = max((d - p for d, p in zip(dts, pts, strict=True)), default=0)
    return [time - late for time in dts]


def _recovered(video: VideoFile) -> list[int]:
    """Presentation times in ticks, found by letting the decoder put numbered packets in order.

    The n-th frame to come out of it is shown at the n-th packet's decoding time, but for a
    constant.
    """
    clock: list[int] = []
    shown: list[int] = []
    with video.open() as (container, stream):
        stream.thread_type = "AUTO"
        step = max(1, round(nominal_step(stream) / time_base(stream)))
        following = 0
        for number, packet in enumerate(read_packets(container, stream)):
            clock.append(following if packet.dts is None else packet.dts)
            following = clock[-1] + (packet.duration or step)
            packet.pts = packet.dts = number
            shown += _numbers(stream, packet)
        shown += _numbers(stream, None)
    pts = list(clock)
    for number, time in zip(shown, sorted(clock[number] for number in shown), strict=True):
        pts[number] = time
    return pts


def _numbers(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[int]:
    """The numbers, hidden in their times, of the frames that come out for a packet going in."""
    try:
        frames = packet.decode() if packet is not None else stream.codec_context.decode()
    except (FFmpegError, ValueError):
        return []
    return [frame.pts for frame in frames if frame.pts is not None]
