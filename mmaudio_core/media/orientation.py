"""Display rotation: turning a decoded frame as its file asks."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from av.video.frame import VideoFrame
from torch import Tensor

from .compat import display_matrix


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """Swap the axes first, then mirror left to right and upside down."""

    transpose: bool = False
    mirror: bool = False
    flip: bool = False

    def __call__(self, image: Tensor) -> Tensor:
        """Turn an image (H, W, C); a view unless it is mirrored or flipped."""
        if self.transpose:
            image = image.transpose(0, 1)
        dims = [dim for dim, reverse in ((0, self.flip), (1, self.mirror)) if reverse]
        return image.flip(dims) if dims else image


_QUARTER_TURNS = (
    Orientation(),
    Orientation(transpose=True, flip=True),
    Orientation(mirror=True, flip=True),
    Orientation(transpose=True, mirror=True),
)
"""Counterclockwise."""


def frame_orientation(frame: VideoFrame) -> Orientation:
    """The orientation in a frame's display matrix, to the nearest quarter turn.

    The matrix (ISO/IEC 14496-12, 8.2.2: a b u c d v x y w, 16.16 fixed point) takes a stored point
    (p, q), q downwards, to the displayed point ``(a p + c q, b p + d q)``.
    """
    try:
        matrix = display_matrix(frame)
    except ValueError:
        return _QUARTER_TURNS[round(frame.rotation / 90) % 4]
    if matrix is None:
        return Orientation()
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    if abs(a) + abs(d) < abs(b) + abs(c):
        return Orientation(transpose=True, mirror=c < 0, flip=b < 0)
    return Orientation(mirror=a < 0, flip=d < 0)


def displayed_size(frame: VideoFrame) -> tuple[int, int]:
    """Width and height of a frame as shown."""
    if frame_orientation(frame).transpose:
        return frame.height, frame.width
    return frame.width, frame.height
