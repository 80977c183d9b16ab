"""One frame of a video, on its way from a file to the image encoders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame of a video, not yet converted.

    Args:
        time: seconds after the first frame shown.
        until: when it disappears, were it the last.
        rgb: makes the picture, (H, W, 3) uint8, turned upright.
    """

    time: Fraction
    end_time: Fraction
    rgb: Callable[[], Tensor]
