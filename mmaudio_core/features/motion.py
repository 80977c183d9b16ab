"""Motion of a picture: how much of it changes from each frame to the next."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SIZE = 24  # pixels a side of a thumbnail: noise and compression average out


class MotionMeter:
    """Energy of motion, measured while the frames of a video pass, in any number of chunks.

    The energy of a frame is the mean absolute difference of its thumbnail and that of the frame
    before it, as a share of full scale. It depends on these two frames only, so that a part of a
    video has the energy that it has within the whole.
    """

    def __init__(self) -> None:
        self._energy: list[Tensor] = []
        self._last: Tensor | None = None  # (1, 24, 24), of the frame before the next one

    def add(self, frames: Tensor) -> None:
        """Measure the next frames (n, 3, H, W) in uint8."""
        if not len(frames):
            return
        small = thumbnails(frames)
        before = small[:1] if self._last is None else self._last
        self._energy.append(differences(torch.cat([before, small])))
        self._last = small[-1:]

    @property
    def energy(self) -> Tensor:
        """(n,) of all frames so far, in [0, 1]; 0 for the first."""
        return torch.cat([torch.zeros(0), *self._energy])


def thumbnails(frames: Tensor) -> Tensor:
    """Gray thumbnails (n, 24, 24), in [0, 1], of frames (n, 3, H, W) in uint8."""
    gray = (frame.float().mean(dim=0, keepdim=True) for frame in frames)
    return torch.cat([F.adaptive_avg_pool2d(each, _SIZE) for each in gray]) / 255


def differences(small: Tensor) -> Tensor:
    """Mean absolute difference (n - 1,) of consecutive thumbnails (n, 24, 24)."""
    return small.diff(dim=0).abs().mean(dim=(1, 2))
