"""A source of frames: what every kind of video has in common once it is opened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from torch import Tensor

from ..errors import MediaError

MAX_FRAME_PIXELS = 8192 * 8192


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Facts about a video.

    Attributes:
        duration: seconds from the first frame shown to the end of the last one.
        width, height: pixels as shown, display rotation applied.
        frame_rate: the average the file claims; None if it claims none.
        codec: the video codec, for instance ``h264``; ``images`` for an image sequence.
        bit_depth: of its samples; of images the 8 that are seen of them.
    """

    duration: Fraction
    width: int
    height: int
    frame_rate: Fraction | None
    codec: str
    bit_depth: int = 8


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame of a video, not yet converted to RGB.

    Attributes:
        time: seconds after the first frame shown.
        end_time: when the frame ends if no other follows, in seconds.
        rgb: converts it to (H, W, 3) uint8, upright.
    """

    time: Fraction
    end_time: Fraction
    rgb: Callable[[], Tensor]


class FrameSource(ABC):
    """A video file, an animated or still WebP, or a sequence of images.

    All methods raise ``MediaError`` if the source cannot be read.
    """

    @cached_property
    def info(self) -> VideoInfo:
        """Duration, size, frame rate and codec, read once."""
        return self._read_info()

    @property
    def identity(self) -> tuple[Hashable, ...] | None:
        """Equal only for the same file with the same content; None if there is no telling."""
        return None

    @abstractmethod
    def _read_info(self) -> VideoInfo: ...

    @abstractmethod
    def frame_times(self) -> list[Fraction]:
        """When each frame is shown, in seconds after the first one, ascending."""

    @abstractmethod
    def frames(self, start: Fraction = Fraction(0)) -> Iterator[Frame]:
        """All frames from one shown no later than ``start`` on."""

    @property
    def still_image(self) -> Tensor | None:
        """The image (H, W, C) in [0, 1] if the source is a single one; None for a video."""
        return None


def check_frame_size(width: int, height: int) -> None:
    """Refuse frames that would fill the memory; most come from damaged headers.

    Raises:
        MediaError: if there are more than 8192x8192 pixels.
    """
    if width * height > MAX_FRAME_PIXELS:
        raise MediaError(
            f"got a frame of {width}x{height} pixels, expected at most 8192x8192. If the video is"
            " not that large, it is damaged: export it again. If it is, scale it down."
        )
