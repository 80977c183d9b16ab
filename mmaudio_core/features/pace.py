"""How fast a video moves and is cut, measured from its frames and put into words."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import CLIP_FPS
from .motion import differences
from .shots import detect_shot_changes

_MIN_CONTRAST = 0.02  # of full scale; below it, differences are noise
# Words for what is below each limit.
_MOTION = ((0.02, "still"), (0.1, "slow"), (0.25, "moderate"))
_FASTEST = "fast"
_CUTS_PER_MINUTE = ((8.0, "few cuts"), (24.0, "steady cuts"))
_MOST_CUTS = "quick cuts"


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a video moves and is cut.

    Attributes:
        motion: mean of ``frame_steps`` without the cuts: 0 if nothing moves, about 1 if no frame
            has anything in common with the next one.
        cuts: number of cuts.
        seconds: length of the video.
    """

    motion: float
    cuts: int
    seconds: float

    @property
    def words(self) -> str:
        """For instance "slow, few cuts"."""
        motion = next((word for limit, word in _MOTION if self.motion < limit), _FASTEST)
        if not self.cuts:
            return f"{motion}, no cuts"
        rate = 60 * self.cuts / self.seconds
        cuts = next((word for limit, word in _CUTS_PER_MINUTE if rate < limit), _MOST_CUTS)
        return f"{motion}, {'few cuts' if self.cuts == 1 else cuts}"


def frame_steps(small: Tensor) -> Tensor:
    """How far each frame is from the one before it, relative to the contrast of all: (n - 1,).

    Args:
        small: (n, 24, 24), from ``motion.thumbnails``.
    """
    contrast = small.flatten(1).std(dim=1).mean().clamp(min=_MIN_CONTRAST)
    return differences(small) / contrast


def measure_pace(clip: Tensor, steps: Tensor) -> Pace:
    """The pace of a video.

    Args:
        clip: CLIP features (V, clip_dim) of its frames, 8 per second, which tell the cuts.
        steps: (V - 1,) of the same frames, from ``frame_steps``.
    """
    cuts = detect_shot_changes(clip[None])
    within = torch.ones(len(steps), dtype=torch.bool)
    within[[int(CLIP_FPS * time) for time in cuts]] = False
    moved = steps[within]
    motion = moved.mean().item() if len(moved) else 0.0
    return Pace(motion=motion, cuts=len(cuts), seconds=len(clip) / CLIP_FPS)
