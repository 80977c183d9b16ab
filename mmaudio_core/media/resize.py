"""Images at the sizes that the two image encoders take.

Everything stays uint8: a float resize rounded afterwards differs by 1 on 13% of the pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import MediaError, Problem
from .mask import CLIP_NEUTRAL, MaskBlend, Masks

CLIP_SIZE = 384
SYNC_SIZE = 224


def resize_for_clip(image: Tensor) -> Tensor:
    """(H, W, 3) uint8 -> (3, 384, 384) uint8; the aspect ratio is not kept."""
    return _resize(image, CLIP_SIZE, CLIP_SIZE)


def resize_for_sync(image: Tensor) -> Tensor:
    """(H, W, 3) uint8 -> (3, 224, 224) uint8: shorter side to 224, then a center crop."""
    height, width, _ = image.shape
    short_side = min(height, width)
    height, width = (int(SYNC_SIZE * side / short_side) for side in (height, width))
    top = round((height - SYNC_SIZE) / 2)
    left = round((width - SYNC_SIZE) / 2)
    return _resize(image, height, width)[:, top : top + SYNC_SIZE, left : left + SYNC_SIZE]


def image_for_clip(image: Tensor, masks: Masks | None = None) -> Tensor:
    """One image for CLIP: (H, W, C >= 3) float in [0, 1] -> (1, 3, 384, 384) uint8.

    Args:
        image: the image.
        masks: the first one hides what it covers; None hides nothing.

    Raises:
        MediaError: on another shape, or NaN or infinity in the image.
    """
    if image.ndim != 3 or image.shape[2] < 3 or not image.numel():
        raise MediaError(
            f"got an image of shape {tuple(image.shape)}, expected (height, width, 3 or more"
            " channels)",
            problem=Problem.IMAGE_SHAPE,
        )
    rgb = to_uint8(image)
    if masks is not None:
        rgb = MaskBlend(masks)(rgb, masks.times[0], CLIP_NEUTRAL)
    return resize_for_clip(rgb)[None]


def to_uint8(image: Tensor) -> Tensor:
    """(H, W, C >= 3) float in [0, 1] -> (H, W, 3) uint8, rounded to nearest.

    Raises:
        MediaError: if the image holds NaN or infinity.
    """
    image = image[..., :3].detach().to("cpu", torch.float32)
    if not image.isfinite().all():
        raise MediaError(
            "an image holds NaN or infinity, expected values between 0 and 1",
            problem=Problem.IMAGE_NOT_FINITE,
        )
    return image.clamp(0, 1).mul(255).round().to(torch.uint8)


def _resize(image: Tensor, height: int, width: int) -> Tensor:
    batch = image.permute(2, 0, 1)[None]
    return functional.interpolate(batch, (height, width), mode="bicubic", antialias=True)[0]
