"""Masks over the video: white is visible, black is hidden from both image encoders.

Hidden pixels get the color that each encoder's normalization takes to 0. Black would not do: to
CLIP it is a dark object, 1.7 standard deviations from the mean.
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

from ..errors import MediaError, Problem

CLIP_NEUTRAL = (123, 117, 104)
"""CLIP's mean color, 0 to 255."""
SYNC_NEUTRAL = (128, 128, 128)
"""Mid gray: Synchformer's input has mean 0.5."""
_ROWS = 128
"""Rows blended at once; the 16-bit products of a whole frame would take twice its memory."""


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Masks, and when each applies.

    Args:
        frames: (n, H, W) float in [0, 1]; 1 is visible, 0 hidden.
        times: when each mask begins to apply, in seconds after the first frame shown; ascending.
            The first one also applies before its time.

    Raises:
        MediaError: on another shape or dtype, or NaN or infinity.
    """

    frames: Tensor
    times: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        _check_mask(self.frames)
        assert len(self.frames) == len(self.times)

    def index(self, time: Fraction) -> int:
        """Index of the mask that applies at ``time``."""
        return max(0, bisect_right(self.times, time) - 1)


class MaskBlend:
    """Applies masks to one frame after another."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._key: tuple[int, int, int] | None = None
        self._weights = np.empty((0, 0, 1), np.uint16)

    def __call__(self, rgb: Tensor, time: Fraction, neutral: tuple[int, int, int]) -> Tensor:
        """Replace what is hidden in a frame (H, W, 3) uint8, shown at ``time``, with ``neutral``.

        The mask is resized to the frame. If all of it is white, the same tensor is returned.
        """
        index = self._masks.index(time)
        height, width, _ = rgb.shape
        if self._key != (index, height, width):
            self._key = (index, height, width)
            self._weights = _weights(self._masks.frames[index], height, width)
        visible = self._weights
        if visible.min(initial=255) == 255:
            return rgb
        color = np.array(neutral, np.uint16)
        blended = torch.empty_like(rgb, memory_format=torch.contiguous_format)
        for top in range(0, height, _ROWS):
            rows = slice(top, top + _ROWS)
            # At most 255 * 255 + 127, which fits into 16 bits.
            sums = rgb[rows].numpy() * visible[rows]
            sums += (255 - visible[rows]) * color + 127
            blended[rows] = torch.as_tensor((sums // 255).astype(np.uint8))
        return blended


def align_masks(
    mask: Tensor, frame_times: Sequence[Fraction], start: Fraction, duration: Fraction
) -> Masks:
    """Assign masks to the frames of a video.

    Args:
        mask: (n, H, W) float in [0, 1]: one for all frames; or one per frame, which applies as
            long as its frame is shown; or any other number, spread evenly over the duration. Also
            (H, W), and with one channel (n, 1, H, W) or (n, H, W, 1).
        frame_times: the frames' times, in seconds after the first frame shown, ascending.
        start, duration: the part of the video that the frames and masks belong to, in seconds.

    Raises:
        MediaError: as ``Masks``.
    """
    if mask.dtype is torch.bool:
        mask = mask.float()
    if mask.ndim == 2:
        mask = mask[None]
    elif mask.ndim == 4 and 1 in (mask.shape[1], mask.shape[3]):
        mask = mask[:, 0] if mask.shape[1] == 1 else mask[..., 0]
    _check_mask(mask)
    count = len(mask)
    if count == 1:
        return Masks(frames=mask, times=(start,))
    if count == len(frame_times):
        return Masks(frames=mask, times=tuple(frame_times))
    times = (start + duration * index / count for index in range(count))
    return Masks(frames=mask, times=tuple(times))


def _check_mask(mask: Tensor) -> None:
    shape = tuple(mask.shape)
    dense = mask.layout is torch.strided and not mask.is_meta
    if len(shape) != 3 or 0 in shape or not mask.is_floating_point() or not dense:
        raise MediaError(
            f"got a mask of shape {shape} and type {mask.dtype}, expected floats of shape (masks,"
            " height, width) with at least one pixel",
            problem=Problem.MASK,
        )
    if not all(one.isfinite().all() for one in mask):  # one by one: a mask may be large
        raise MediaError(
            "a mask holds NaN or infinity, expected values between 0 and 1", problem=Problem.MASK
        )


def _weights(mask: Tensor, height: int, width: int) -> np.ndarray:
    """(H, W, 1) uint16, 0 to 255: how visible each pixel is."""
    mask = mask.detach().to("cpu", torch.float32)[None, None]
    if mask.shape[2:] != (height, width):
        mask = functional.interpolate(mask, (height, width), mode="bilinear", antialias=True)
    weights = mask[0, 0, :, :, None].clamp(0, 1).mul(255).round()
    return weights.numpy().astype(np.uint16)
