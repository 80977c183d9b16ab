"""Where the picture changes, told from CLIP features."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..config import CLIP_FPS

# Neighbouring frames of a shot are nearly alike, an eighth of a second apart; a cut stands out
# against the shot's own movement.
_LEAST = 0.25  # cosine distance
_ABOVE_MEDIAN = 6.0


def detect_shot_changes(clip: Tensor | None) -> tuple[float, ...]:
    """Seconds at which the picture changes.

    Args:
        clip: CLIP features (1, V, width) at 8 frames a second; None or one frame: no cuts.
    """
    if clip is None or clip.shape[1] < 3:
        return ()
    distance = 1 - F.cosine_similarity(clip[0, 1:].float(), clip[0, :-1].float(), dim=-1)
    threshold = max(_LEAST, _ABOVE_MEDIAN * distance.median().item())
    frames = [index for index, far in enumerate(distance) if far > threshold]
    return tuple((frame + 0.5) / CLIP_FPS for frame in frames)
