"""Shot boundary detection from CLIP features."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..config import CLIP_FPS

# Consecutive frames of a shot, 1/8 s apart, are nearly equal. A cut is a cosine distance that is
# large in itself and large compared with the motion within the shots.
_MIN_DISTANCE = 0.25
_TIMES_MEDIAN = 6.0


def detect_shot_changes(clip: Tensor | None) -> tuple[float, ...]:
    """Times of cuts, in seconds.

    Args:
        clip: CLIP features (1, V, width) at 8 frames per second, or None. Fewer than three frames
            have no cuts.
    """
    if clip is None or clip.shape[1] < 3:
        return ()
    distances = 1 - F.cosine_similarity(clip[0, 1:].float(), clip[0, :-1].float(), dim=-1)
    threshold = max(_MIN_DISTANCE, _TIMES_MEDIAN * distances.median().item())
    frames = [index for index, distance in enumerate(distances) if distance > threshold]
    return tuple((frame + 0.5) / CLIP_FPS for frame in frames)
