"""Display rotation: turning a decoded frame the way the file asks for."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from av.buffer import Buffer
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """Swap the axes first, then mirror left to right and upside down."""

    transpose: bool = False
    mirror: bool = False
    flip: bool = False

    def __call__(self, picture: Tensor) -> Tensor:
        """Turn a picture (H, W, C); a view where nothing is mirrored."""
        if self.transpose:
            picture = picture.transpose(0, 1)
        dims = [dim for dim, asked in ((0, self.flip), (1, self.mirror)) if asked]
        return picture.flip(dims) if dims else picture


def frame_orientation(frame: VideoFrame) -> Orientation:
    """What a frame's display matrix asks for, to the nearest quarter turn.

    The matrix (ISO/IEC 14496-12, 8.2.2: a b u c d v x y w, 16.16 fixed point) takes a stored place
    (p, q), q downwards, to the place shown ``(a p + c q, b p + d q)``.
    """
    try:
        data = _side_data(frame).get(Type.DISPLAYMATRIX)
    except ValueError:  # PyAV stumbles over kinds of side data newer than itself.
        return _QUARTERS[round(frame.rotation / 90) % 4]
    if data is None:
        return Orientation()
    a, b, _, c, d = struct.unpack_from("=5i", bytes(data))
    if abs(a) + abs(d) < abs(b) + abs(c):
        return Orientation(transpose=True, mirror=c < 0, flip=b < 0)
    return Orientation(mirror=a < 0, flip=d < 0)


_QUARTERS = (
    Orientation(),
    Orientation(transpose=True, flip=True),
    Orientation(mirror=True, flip=True),
    Orientation(transpose=True, mirror=True),
)
"""By counterclockwise quarters."""


def _side_data(frame: VideoFrame) -> Mapping[Type, Buffer]:
    # Not frame.side_data: it and the frame refer to each other, so decoded frames would stay in
    # memory until Python looks for cycles.
    container: Callable[[VideoFrame], Mapping[Type, Buffer]] = SideDataContainer  # pyright: ignore
    return container(frame)


def displayed_size(frame: VideoFrame) -> tuple[int, int]:
    """Width and height of a frame as shown."""
    if frame_orientation(frame).transpose:
        return frame.height, frame.width
    return frame.width, frame.height
