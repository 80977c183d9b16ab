"""Packet times that every container accepts, also for files whose own are missing or wrong."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from ..media import VideoFile
from ..media.packets import decode_packet, read_packets
from ..media.timestamps import nominal_step, time_base

_TOLERANCE = Fraction(1, 1000)
"""Seconds by which a cut may miss a key frame; Matroska stores no smaller unit."""


@dataclass(frozen=True, kw_only=True)
class OutputTimes:
    """A packet's times in the output file, in ticks of the input stream.

    Attributes:
        pts, dts: presentation and decoding time.
        hidden: an edit list hides the packet's frame.
    """

    pts: int
    dts: int
    hidden: bool


@dataclass(frozen=True, kw_only=True)
class CopiedPart:
    """The packets of a file from one on.

    Attributes:
        first: how many packets come before.
        times: of the packets, relative to the first frame shown.
    """

    first: int
    times: list[OutputTimes]

    @property
    def edited(self) -> bool:
        """Whether an edit list hides frames."""
        return any(time.hidden for time in self.times)


@dataclass(frozen=True, kw_only=True)
class PacketSelection:
    """The packets that are copied.

    Attributes:
        times: theirs.
        hides_any: some are hidden.
        hides_within: some are hidden, and lie between others that are shown.
        hidden_from: some are hidden, and lie behind those shown, from this tick on; else None.
    """

    times: list[OutputTimes]
    hides_any: bool
    hides_within: bool
    hidden_from: int | None


def select_packets(
    times: list[OutputTimes], end: Fraction | None, *, can_hide: bool
) -> PacketSelection:
    """Choose the packets to copy.

    Args:
        times: of all packets.
        end: the tick from which on nothing is shown; None shows all that is not hidden.
        can_hide: keep hidden frames at the end, as in the file; otherwise, as where ``end`` cuts,
            only those that come before a frame shown, which may refer to them.
    """
    shown = [
        i for i, time in enumerate(times) if not time.hidden and (end is None or time.pts < end)
    ]
    last = max(times[i].pts for i in shown)
    kept = times if can_hide and end is None else times[: max(shown) + 1]
    hidden = [time.pts for time in kept if time.hidden or time.pts > last]
    return PacketSelection(
        times=kept,
        hides_any=bool(hidden),
        hides_within=any(0 <= pts < last for pts in hidden),
        hidden_from=min((pts for pts in hidden if pts > last), default=None),
    )


def part_from_key_frame(video: VideoFile, start: Fraction) -> CopiedPart | None:
    """The packets from a key frame at ``start`` on; None if there is none that stands alone.

    Args:
        video: the file.
        start: seconds after the first frame shown; 0 is the whole file.
    """
    times = output_times(video)
    if start == 0:
        return CopiedPart(first=0, times=times)
    packets, unit = video.packets.packets, video.packets.time_base
    first = next(
        (
            number
            for number, time in enumerate(times)
            if packets[number].key and abs(time.pts * unit - start) <= _TOLERANCE
        ),
        None,
    )
    if first is None or any(packet.hidden for packet in packets):
        return None
    begin = times[first].pts
    if any((time.pts < begin) != (number < first) for number, time in enumerate(times)):
        return None  # frames on one side refer to frames on the other
    return CopiedPart(
        first=first,
        times=[
            OutputTimes(pts=time.pts - begin, dts=time.dts - begin, hidden=False)
            for time in times[first:]
        ],
    )


def output_times(video: VideoFile) -> list[OutputTimes]:
    """Times of every packet relative to the first frame shown.

    Presentation times are the file's own. If it has none (AVI, raw streams), or if they ascend
    although the decoder returns frames in another order (some ASF and MXF), they are those of its
    frames as the decoder returns them. Decoding times are replaced if one is missing, out of order
    or later than its presentation time, since no container accepts that.
    """
    index = video.packets
    begin = round(index.start / index.time_base)
    pts = [packet.pts for packet in index.packets if packet.pts is not None]
    complete = len(pts) == len(index.packets)
    if not complete or (index.reorders and _ascend(pts)):
        recovered = _recover_pts(video)
        if not complete or not _ascend(recovered):
            pts, begin = recovered, min(recovered, default=0)
    dts = [packet.dts for packet in index.packets if packet.dts is not None]
    if not _are_valid(pts, dts):
        dts = _derive_dts(pts)
    return [
        OutputTimes(pts=p - begin, dts=d - begin, hidden=packet.hidden)
        for p, d, packet in zip(pts, dts, index.packets, strict=True)
    ]


def _are_valid(pts: list[int], dts: list[int]) -> bool:
    return (
        len(pts) == len(dts) and _ascend(dts) and all(p >= d for p, d in zip(pts, dts, strict=True))
    )


def _ascend(times: list[int]) -> bool:
    return all(earlier < later for earlier, later in pairwise(times))


def _derive_dts(pts: list[int]) -> list[int]:
    """The latest decoding times that ascend and precede the presentation times."""
    dts: list[int] = []
    for time in sorted(pts):
        dts.append(max(time, dts[-1] + 1) if dts else time)
    delay = max((d - p for d, p in zip(dts, pts, strict=True)), default=0)
    return [time - delay for time in dts]


def _recover_pts(video: VideoFile) -> list[int]:
    """Presentation times in ticks, recovered by decoding packets whose times are their numbers.

    The decoder returns frames in presentation order, so the n-th of them is shown at the n-th
    decoding time (but for a constant), and its number tells which packet it came from. If each
    comes out as many packets late as all others, the constant is that of the last of these, so that
    a gap at the beginning (in AVI, frames that were dropped) comes before the first frame.
    """
    dts: list[int] = []
    shown: list[tuple[int, int | None]] = []
    with video.open() as (container, stream):
        stream.thread_type = "AUTO"
        step = max(1, round(nominal_step(stream) / time_base(stream)))
        following = 0
        for number, packet in enumerate(read_packets(container, stream)):
            dts.append(following if packet.dts is None else packet.dts)
            following = dts[-1] + (packet.duration or step)
            packet.pts = packet.dts = number
            shown += _decode_numbers(stream, packet)
        shown += _decode_numbers(stream, None)
    times = sorted(dts[number] for number, _ in shown)
    delays = {sent - place for place, (_, sent) in enumerate(shown) if sent is not None}
    if len(shown) == len(dts) and len(delays) == 1:
        (delay,) = delays
        times = times[delay:] + [following + step * late for late in range(delay)]
    pts = list(dts)
    last: int | None = None
    for (number, _), time in zip(shown, times, strict=True):
        last = time if last is None else max(time, last + 1)
        pts[number] = last
    return pts


def _decode_numbers(
    stream: VideoStream, packet: Packet[VideoStream] | None
) -> list[tuple[int, int | None]]:
    """For each frame that the decoder returns: its packet's number, and that of the last one sent.

    Args:
        packet: what is sent; None flushes the decoder, whose frames come after no packet.
    """
    try:
        frames = decode_packet(stream, packet)
    except (FFmpegError, ValueError):
        return []
    return [(frame.pts, frame.dts) for frame in frames if frame.pts is not None]
