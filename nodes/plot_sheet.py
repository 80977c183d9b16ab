"""Rows one below the other on one time axis, as an IMAGE: what all of the pack's plots stand on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

WIDTH, MARGIN, GAP = 1280, 12, 10
LABEL = 90  # px at the left, for the rows' names
PLOT = WIDTH - LABEL - MARGIN
INK, FAINT = (225, 225, 230), (95, 95, 105)
SOUND, ONSET = (92, 170, 255), (255, 90, 54)
_BACK = (22, 22, 26)
_AXIS = 30
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)
_MAX_TICKS = 12


class Sheet:
    """An empty plot: the rows' names at the left, the axis below.

    Attributes:
        image: to paste into.
        pen: to draw with.
        tops: y of each row's upper edge.
        axis: y of the axis.
    """

    def __init__(self, duration: float, rows: Sequence[tuple[str, int]]) -> None:
        """Args: seconds of the axis, which begins at 0; name and height of each row, downwards."""
        self._duration = duration
        height = MARGIN + sum(size + GAP for _, size in rows) + _AXIS
        self.image = Image.new("RGB", (WIDTH, height), _BACK)
        self.pen = ImageDraw.Draw(self.image)
        self._font = ImageFont.load_default(size=14)
        self.tops: list[int] = []
        self.axis = MARGIN
        for name, size in rows:
            self.tops.append(self.axis)
            self.pen.text((MARGIN, self.axis + size // 2 - 8), name, INK, self._font)
            self.axis += size + GAP

    def place(self, time: float) -> float:
        """The x of a time in seconds."""
        return LABEL + time / self._duration * PLOT

    def text(self, x: float, y: float, text: str) -> None:
        """Write ``text`` centered at x, below y."""
        self.pen.text((x - self.pen.textlength(text, self._font) / 2, y), text, INK, self._font)

    def finish(self) -> Tensor:
        """Draw the axis and return the picture, (1, H, 1280, 3) float32 in [0, 1]."""
        self.pen.line((LABEL, self.axis, LABEL + PLOT, self.axis), FAINT)
        steps = (size for size in _STEPS if self._duration / size <= _MAX_TICKS)
        step = next(steps, self._duration)
        for tick in range(int(self._duration / step + 1e-6) + 1):
            x = self.place(tick * step)
            self.pen.line((x, self.axis, x, self.axis + 5), INK)
            self.text(x, self.axis + 7, f"{tick * step:g} s")
        return torch.from_numpy(np.asarray(self.image).copy()).float()[None] / 255


def paste_frames(
    image: Image.Image, frames: Tensor, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    """Paste frames side by side, each as large as it fits.

    Args:
        image: to paste into.
        frames: (n, H, W, 3) uint8.
        corner, size: of the row, x and y.
    """
    width = size[0] // len(frames)
    for number, frame in enumerate(frames):
        picture = Image.fromarray(frame.numpy())
        picture.thumbnail((width - 2, size[1]))
        left = corner[0] + number * width + (width - picture.width) // 2
        image.paste(picture, (left, corner[1] + (size[1] - picture.height) // 2))
