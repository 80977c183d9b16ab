"""Times in exact rational numbers: when frames are shown, and which of them are picked.

Picking follows ffmpeg's ``fps`` filter (round=near), with which the training features were made:
output frame n is the last source frame whose time satisfies ``floor(time * fps + 1/2) <= n``.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

CLIP_RATE = 8
"""Frames a second that CLIP sees."""
SYNC_RATE = 25
"""Frames a second that Synchformer sees."""


def first_output(time: Fraction, rate: int) -> int:
    """The first output frame, at ``rate`` a second, that may show a source frame of this time."""
    return (2 * rate * time.numerator + time.denominator) // (2 * time.denominator)


def whole_frames(duration: Fraction, rate: int) -> int:
    """How many frames at ``rate`` a second fit into ``duration`` seconds."""
    return rate * duration.numerator // duration.denominator


def nominal_step(stream: VideoStream) -> Fraction:
    """Seconds a frame lasts by what the file says of itself; 1/25 when it says nothing."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return 1 / Fraction(rate)
    return Fraction(1, 25)


@dataclass(frozen=True, kw_only=True)
class FrameTime:
    """When a frame is shown, in seconds of the file's own clock.

    Args:
        time: when it appears.
        until: when it disappears, were it the last.
        exact: the time was stored in the file as that frame's own.
    """

    time: Fraction
    end_time: Fraction
    exact: bool


def stores_no_pts(container: InputContainer) -> bool:
    """Whether presentation times of this kind of file are libav's guess (wrong with B-frames)."""
    return container.format.name == "avi"


class FrameClock:
    """Gives decoded frames their times, mending what the file lacks.

    A frame without a presentation time gets its decoding time, which is right but for a constant;
    without that, it follows its predecessor. Where presentation times are out of order more often
    than decoding times, the latter are used, as libav does; in AVI they always are.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._unit = Fraction(stream.time_base or Fraction(1, 25))
        self._step = nominal_step(stream)
        self._only_dts = stores_no_pts(container)
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._bad_pts = 0
        self._bad_dts = 0
        self._lengths: dict[int, int] = {}  # of packets whose frames are still to come, by pts
        self._untimed = 0  # length of a packet without pts
        self._last: FrameTime | None = None
        self._gap: Fraction | None = None

    def sent(self, packet: Packet[VideoStream]) -> None:
        """Note the length of a packet that goes into the decoder."""
        if packet.pts is not None:
            self._lengths[packet.pts] = packet.duration or 0
        elif packet.size:
            self._untimed = packet.duration or 0

    def stamp(self, frame: VideoFrame) -> FrameTime:
        """The time of the next frame that comes out of the decoder."""
        # PyAV before 15 does not tell a frame's own length.
        length = self._untimed if frame.pts is None else self._lengths.pop(frame.pts, 0)
        if self._only_dts:
            length = 0  # AVI's own word for it may be half of the truth.
        ticks, exact = self._ticks(frame.pts, frame.dts)
        if ticks is not None:
            time = ticks * self._unit
        elif self._last is not None:
            time = self._last.end_time if length else self._last.time + (self._gap or self._step)
        else:
            time = Fraction(0)
        if self._last is not None and time > self._last.time:
            self._gap = time - self._last.time
        lasts = length * self._unit if length else self._gap or self._step
        self._last = FrameTime(time=time, end_time=time + lasts, exact=exact)
        return self._last

    def _ticks(self, pts: int | None, dts: int | None) -> tuple[int | None, bool]:
        if self._only_dts:
            return dts, False
        if dts is not None:
            self._bad_dts += self._last_dts is not None and dts <= self._last_dts
            self._last_dts = dts
        if pts is not None:
            self._bad_pts += self._last_pts is not None and pts <= self._last_pts
            self._last_pts = pts
        if pts is not None and (self._bad_pts <= self._bad_dts or dts is None):
            return pts, True
        return dts, False
