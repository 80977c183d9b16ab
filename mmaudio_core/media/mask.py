"""Masks over the picture: white is seen, black is hidden from both image encoders.

What is hidden gets the colour that means nothing to the encoder at hand: the one its normalisation
takes to 0. Black would not do: it is a dark object, 1.7 standard deviations from CLIP's mean.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import MediaError

CLIP_NEUTRAL = (123, 117, 104)
"""CLIP's mean colour, in 255ths."""
SYNC_NEUTRAL = (128, 128, 128)
"""Mid grey: Synchformer's frames have mean 0.5."""
_ROWS = 128
"""Rows mixed at once, since numbers of 16 bits need twice the picture's memory."""


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Which mask holds when.

    Args:
        frames: (n, H, W) float in [0, 1]; 1 is seen, 0 hidden.
        times: when each begins to hold, in seconds after the first frame shown; ascending. The
            first also holds before its time.

    Raises:
        MediaError: on another shape or dtype, or NaN or infinity.
    """

    frames: Tensor
    times: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        check_mask(self.frames)
        assert len(self.frames) == len(self.times)

    def index(self, time: Fraction) -> int:
        """The number of the mask that holds at ``time``."""
        return max(0, bisect_right(self.times, time) - 1)


class MaskBlend:
    """Hides what masks hide, in one frame after another."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._key: tuple[int, int, int] | None = None
        self._weights = np.empty((0, 0, 1), np.uint16)

    def __call__(self, rgb: Tensor, time: Fraction, neutral: tuple[int, int, int]) -> Tensor:
        """A frame (H, W, 3) uint8 shown at ``time``, ``neutral`` where it is hidden.

        A mask of another size is stretched onto the frame. Where it is white everywhere, the frame
        comes back as it is.
        """
        index = self._masks.index(time)
        height, width, _ = rgb.shape
        if self._key != (index, height, width):
            self._key = (index, height, width)
            self._weights = _weights(self._masks.frames[index], height, width)
        seen = self._weights
        if seen.min(initial=255) == 255:
            return rgb
        hidden = np.array(neutral, np.uint16)
        veiled = torch.empty_like(rgb, memory_format=torch.contiguous_format)
        for top in range(0, height, _ROWS):
            rows = slice(top, top + _ROWS)
            # At most 255 * 255 + 127, which 16 bits hold.
            mixed = rgb[rows].numpy() * seen[rows]
            mixed += (255 - seen[rows]) * hidden + 127
            veiled[rows] = torch.as_tensor((mixed // 255).astype(np.uint8))
        return veiled


def check_mask(mask: Tensor) -> None:
    """Refuse what is no MASK.

    Raises:
        MediaError: on another shape or dtype, or NaN or infinity.
    """
    shape = tuple(mask.shape)
    if len(shape) != 3 or 0 in shape or not mask.is_floating_point():
        raise MediaError(
            f"a mask of shape {shape} and type {mask.dtype} was given; expected floats of shape"
            " (masks, height, width) with at least one pixel. Connect a MASK, unaltered."
        )
    if not all(one.isfinite().all() for one in mask):
        raise MediaError(
            "a mask holds NaN or infinity; expected values between 0 and 1. Look for the node"
            " before this one that made it."
        )


def align_masks(
    mask: Tensor, frames: Sequence[Fraction], start: Fraction, duration: Fraction
) -> Masks:
    """Masks laid over a video's frames.

    Args:
        mask: (..., H, W) float in [0, 1]: one for all frames; or one a frame, which then holds as
            long as its frame; or any other number, spread evenly over the duration.
        frames: the frames' times, in seconds after the first frame shown, ascending.
        start, duration: the part of the video that the frames and masks belong to, in seconds.

    Raises:
        MediaError: as ``Masks``.
    """
    if mask.ndim > 1 and mask.numel():
        mask = mask.reshape(-1, *mask.shape[-2:])
    check_mask(mask)
    count = len(mask)
    if count == 1:
        return Masks(frames=mask, times=(start,))
    if count == len(frames):
        return Masks(frames=mask, times=tuple(frames))
    times = (start + duration * number / count for number in range(count))
    return Masks(frames=mask, times=tuple(times))


def _weights(mask: Tensor, height: int, width: int) -> np.ndarray:
    """(H, W, 1) uint16, 0 to 255: how much of the picture is seen."""
    mask = mask.detach().to("cpu", torch.float32)[None, None]
    if mask.shape[2:] != (height, width):
        mask = functional.interpolate(mask, (height, width), mode="bilinear", antialias=True)
    shares = mask[0, 0, :, :, None].clamp(0, 1).mul(255).round()
    return shares.numpy().astype(np.uint16)
