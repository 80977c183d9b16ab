"""Features that condition the flow network; all tensors are float32 on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from .prompt_schedule import Crossfade


@dataclass(frozen=True, kw_only=True)
class VisualFeatures:
    """Features of a video, of a still image, or of nothing.

    Attributes:
        duration: exact seconds of audio to generate.
        clip: (1, V, clip_dim); (1, 1, clip_dim) for a still image; None without a picture.
        sync: (1, S, sync_dim); None without a video.
        motion: (int(25 * duration),) energy of motion of each frame that Synchformer saw, from
            ``MotionMeter``; None without a video.
    """

    duration: Fraction
    clip: Tensor | None
    sync: Tensor | None
    motion: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class TextFeatures:
    """Features of a prompt and a negative prompt.

    Attributes:
        prompt: (1, 77, text_dim).
        negative: (1, 77, text_dim); guidance moves away from it.
    """

    prompt: Tensor
    negative: Tensor


@dataclass(frozen=True, kw_only=True)
class Features:
    """Visual and text features of one job.

    Attributes:
        duration, clip, sync, motion: as in ``VisualFeatures``.
        text: (prompts, 77, text_dim); one prompt unless there is a schedule.
        negative: same shape as ``text``.
        crossfades: transitions between consecutive prompts, prompts - 1 of them.
    """

    duration: Fraction
    clip: Tensor | None
    sync: Tensor | None
    text: Tensor
    negative: Tensor
    crossfades: tuple[Crossfade, ...] = ()
    motion: Tensor | None = None

    @classmethod
    def join(cls, visual: VisualFeatures, text: TextFeatures) -> Features:
        """Combine visual features and the text features of one prompt."""
        return cls(
            duration=visual.duration,
            clip=visual.clip,
            sync=visual.sync,
            text=text.prompt,
            negative=text.negative,
            motion=visual.motion,
        )
