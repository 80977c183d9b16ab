"""SMPTE timecodes (ST 12-1): a frame's number as hours, minutes, seconds and frames."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import re
from fractions import Fraction

from av.container import InputContainer

_FORM = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")


def read_timecode(container: InputContainer) -> str | None:
    """The first timecode that a stream or the file tells."""
    for tags in [*(stream.metadata for stream in container.streams), container.metadata]:
        for key, value in tags.items():
            if key.lower() == "timecode":
                return value
    return None


def shift_timecode(timecode: str, seconds: Fraction, frame_rate: Fraction | None) -> str | None:
    """The timecode of the frame ``seconds`` later.

    Args:
        timecode: for instance ``01:00:00:00``; a semicolon before the frames means that numbers
            are dropped, two in each minute but every tenth, to keep up with 29.97 frames a second.
        seconds: at least 0.
        frame_rate: frames per second of the video.

    Returns:
        The later timecode; None if ``timecode`` or the rate is none that can be counted with.
    """
    match = _FORM.fullmatch(timecode)
    if match is None or frame_rate is None:
        return None
    base = round(frame_rate)  # frames are numbered up to here
    separator = match[4]
    drops = separator != ":"
    if base < 1 or (drops and base % 30):
        return None
    dropped = base // 15 if drops else 0  # numbers a minute
    hours, minutes, whole_seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
    minutes += 60 * hours
    number = (60 * minutes + whole_seconds) * base + frames
    number -= dropped * (minutes - minutes // 10)
    number += round(seconds * frame_rate)
    ten_minutes, rest = divmod(number, 600 * base - 9 * dropped)
    number += 9 * dropped * ten_minutes
    if dropped and rest >= 60 * base:
        number += dropped * ((rest - 60 * base) // (60 * base - dropped) + 1)
    whole_seconds, frames = divmod(number, base)
    minutes, whole_seconds = divmod(whole_seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours % 24:02}:{minutes:02}:{whole_seconds:02}{separator}{frames:02}"
