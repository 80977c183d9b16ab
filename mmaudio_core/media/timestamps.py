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

from ..config import MIN_VIDEO_SECONDS, SEGMENT_FRAMES, SYNC_FPS
from ..errors import MediaError, Problem
from .compat import FrameDurations

_DEFAULT_STEP = Fraction(1, 25)
_NO_TIMESTAMPS = 0x80
"""libav's AVFMT_NOTIMESTAMPS: the format is a bare stream."""


def first_frame_showing(time: Fraction, rate: int) -> int:
    """Index of the first output frame that shows a source frame, if no later one replaces it.

    This is ``floor(time * rate + 1/2)``, so an output frame may show a source frame that appears
    up to half an output frame after it.

    Args:
        time: when the source frame appears, in seconds.
        rate: output frames per second.
    """
    return (2 * rate * time.numerator + time.denominator) // (2 * time.denominator)


def whole_frames(duration: Fraction, rate: int) -> int:
    """How many frames at ``rate`` per second fit into ``duration`` seconds."""
    return rate * duration.numerator // duration.denominator


def resolve_range(available: Fraction, start: Fraction, duration: Fraction | None) -> Fraction:
    """The seconds of video that can be used from ``start`` on.

    Args:
        available: the video's length in seconds.
        start: where to begin, in seconds.
        duration: seconds wanted; None or 0 means to the video's end.

    Returns:
        ``duration``, cut at the video's end.

    Raises:
        MediaError: if ``start`` or ``duration`` is negative, ``start`` is at or past the end, or
            less than 0.64 s is left.
    """
    if start < 0 or (duration is not None and duration < 0):
        raise MediaError(
            f"got a start of {float(start):g} s and a duration of {float(duration or 0):g} s,"
            " expected 0 or more for both"
        )
    if start >= available:
        raise MediaError(
            f"the start of {float(start):g} s lies at or past the end of the video, which lasts"
            f" {float(available):g} s",
            problem=Problem.START_PAST_END,
        )
    usable = min(duration or available, available - start)
    if usable < MIN_VIDEO_SECONDS:
        raise MediaError(
            f"got {float(usable):g} s of video (it lasts {float(available):g} s, the start is"
            f" {float(start):g} s), expected at least {float(MIN_VIDEO_SECONDS):g} s"
            f" ({SEGMENT_FRAMES} frames at {SYNC_FPS} per second)",
            problem=Problem.DURATION_TOO_SHORT if usable == duration else Problem.VIDEO_TOO_SHORT,
        )
    return usable


def time_base(stream: VideoStream) -> Fraction:
    """Seconds per tick of a stream; 1/25 if the file does not say."""
    return Fraction(stream.time_base or _DEFAULT_STEP)


def nominal_step(stream: VideoStream) -> Fraction:
    """Seconds between frames according to the file's header; 1/25 if it does not say."""
    for rate in (average_rate(stream), stream.guessed_rate, stream.base_rate):
        if rate:
            return 1 / Fraction(rate)
    return _DEFAULT_STEP


def average_rate(stream: VideoStream) -> Fraction | None:
    """Frames per second according to the file's header; None if it does not say.

    Of a bare stream, such as raw H.264, libav takes 25 for granted; the codec's header knows.
    """
    rate = stream.average_rate
    if int(stream.container.format.flags) & _NO_TIMESTAMPS:
        rate = stream.guessed_rate or rate
    return Fraction(rate) if rate else None


def stores_no_pts(container: InputContainer) -> bool:
    """Whether libav only guesses presentation times in this format (wrong with B-frames)."""
    return container.format.name == "avi"


@dataclass(frozen=True, kw_only=True)
class FrameTime:
    """When a frame is shown, in seconds of the file's own clock.

    Attributes:
        time: when it appears.
        end_time: when it ends if no other frame follows.
        exact: the time was stored in the file as that frame's own.
    """

    time: Fraction
    end_time: Fraction
    exact: bool


class FrameClock:
    """Gives decoded frames their times, repairing what the file lacks.

    A frame without a presentation time gets its decoding time, which is right but for a constant;
    without that, it follows its predecessor. If presentation times are out of order more often
    than decoding times, the latter are used, as libav does; in AVI they always are.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._time_base = time_base(stream)
        self._step = nominal_step(stream)
        self._ignore_pts = stores_no_pts(container)
        self._durations = FrameDurations()
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._faulty_pts = 0
        self._faulty_dts = 0
        self._last: FrameTime | None = None
        self._gap: Fraction | None = None

    def sent(self, packet: Packet[VideoStream]) -> None:
        """Note a packet that goes into the decoder."""
        self._durations.sent(packet)

    def time(self, frame: VideoFrame) -> FrameTime:
        """The time of the next frame that comes out of the decoder."""
        duration = self._durations.take(frame)
        if self._ignore_pts:
            duration = 0  # AVI may state half of the true duration
        ticks, exact = self._ticks(frame.pts, frame.dts)
        if ticks is not None:
            time = ticks * self._time_base
        elif self._last is None:
            time = Fraction(0)
        elif duration:
            time = self._last.end_time
        else:
            time = self._last.time + (self._gap or self._step)
        if self._last is not None and time > self._last.time:
            self._gap = time - self._last.time
        step = duration * self._time_base if duration else self._gap or self._step
        self._last = FrameTime(time=time, end_time=time + step, exact=exact)
        return self._last

    def _ticks(self, pts: int | None, dts: int | None) -> tuple[int | None, bool]:
        """The tick to go by, and whether it is the frame's own presentation time."""
        if self._ignore_pts:
            return dts, False
        if dts is not None:
            self._faulty_dts += self._last_dts is not None and dts <= self._last_dts
            self._last_dts = dts
        if pts is not None:
            self._faulty_pts += self._last_pts is not None and pts <= self._last_pts
            self._last_pts = pts
        if pts is not None and (self._faulty_pts <= self._faulty_dts or dts is None):
            return pts, True
        return dts, False
