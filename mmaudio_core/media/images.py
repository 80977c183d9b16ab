"""Images with a frame rate, as a source of frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from ..errors import MediaError, Problem
from .resize import to_uint8
from .source import Frame, FrameSource, VideoInfo

_MIN_RATE = Fraction(1, 1000)


@dataclass(frozen=True, kw_only=True)
class ImageSequence(FrameSource):
    """Images shown one after another.

    Args:
        images: (B, H, W, C) float in [0, 1]; the first three channels are red, green and blue.
        frame_rate: images per second, at least 0.001.

    Raises:
        MediaError: on another shape or dtype, no images at all, or a lower frame rate.
    """

    images: Tensor
    frame_rate: Fraction

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        if len(shape) != 4 or shape[3] < 3 or 0 in shape or not self.images.is_floating_point():
            raise MediaError(
                f"got images of shape {shape} and type {self.images.dtype}, expected floats of"
                " shape (frames, height, width, 3 or more channels) with at least one pixel",
                problem=Problem.IMAGE_SHAPE,
            )
        if self.images.layout is not torch.strided or self.images.is_meta:
            raise MediaError(
                f"got images of layout {self.images.layout} on {self.images.device}, expected dense"
                " ones",
                problem=Problem.IMAGE_SHAPE,
            )
        if self.frame_rate < _MIN_RATE:
            raise MediaError(
                f"got a frame rate of {float(self.frame_rate):g}, expected at least"
                f" {float(_MIN_RATE):g}",
                problem=Problem.FRAME_RATE,
            )

    def _read_info(self) -> VideoInfo:
        count, height, width, _ = self.images.shape
        return VideoInfo(
            duration=count / self.frame_rate,
            width=width,
            height=height,
            frame_rate=self.frame_rate,
            codec="images",
        )

    def frame_times(self) -> list[Fraction]:
        return [index / self.frame_rate for index in range(len(self.images))]

    def frames(self, start: Fraction = Fraction(0)) -> Iterator[Frame]:
        count = len(self.images)
        for index in range(min(int(start * self.frame_rate), count - 1), count):
            yield Frame(
                time=index / self.frame_rate,
                end_time=(index + 1) / self.frame_rate,
                rgb=lambda index=index: to_uint8(self.images[index]),
            )

    @property
    def still_image(self) -> Tensor | None:
        return self.images[0] if len(self.images) == 1 else None
