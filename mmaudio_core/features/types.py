"""Features that condition the flow network."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from .prompt_schedule import Crossfade


@dataclass(frozen=True, kw_only=True)
class VisualFeatures:
    """What the picture gives; float32 on the CPU.

    Attributes:
        duration: seconds of sound to make, exactly.
        clip: (1, V, clip_dim); (1, 1, clip_dim) for a still picture; None for no picture.
        sync: (1, S, sync_dim); None for no video.
    """

    duration: Fraction
    clip: Tensor | None
    sync: Tensor | None


@dataclass(frozen=True, kw_only=True)
class TextFeatures:
    """What the prompts give; float32 on the CPU.

    Attributes:
        prompt: (1, 77, text_dim).
        negative: (1, 77, text_dim), what guidance moves away from.
    """

    prompt: Tensor
    negative: Tensor


@dataclass(frozen=True, kw_only=True)
class Features:
    """What the flow is conditioned on: see ``VisualFeatures`` and ``TextFeatures``.

    Attributes:
        text: (prompts, 77, text_dim), one unless there is a schedule.
        negative: the same shape.
        fades: where each prompt hands over to the next.
    """

    duration: Fraction
    clip: Tensor | None
    sync: Tensor | None
    text: Tensor
    negative: Tensor
    fades: tuple[Crossfade, ...] = ()

    @classmethod
    def join(cls, visual: VisualFeatures, text: TextFeatures) -> Features:
        """Both halves together."""
        return cls(
            duration=visual.duration,
            clip=visual.clip,
            sync=visual.sync,
            text=text.prompt,
            negative=text.negative,
        )
