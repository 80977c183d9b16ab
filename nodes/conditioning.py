"""The pack's CONDITIONING: text as usual, picture and timeline as further entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import comfy.conds
import torch
from torch import Tensor

from ..mmaudio_core.config import SequenceLengths, sequence_lengths
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.features.prompt_schedule import Crossfade
from ..mmaudio_core.features.shots import detect_shot_changes
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.models.flow import FlowParams
from ..mmaudio_core.sampling.guidance import GuidanceBranch
from ..mmaudio_core.sampling.windows import WindowPlan

# Keys of a CONDITIONING's dict.
CLIP, SYNC, TIMELINE = "mmaudio_clip", "mmaudio_sync", "mmaudio_timeline"

Conditioning = list[list[Any]]  # ComfyUI's CONDITIONING


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """When things happen in a sound, the same in both branches of guidance.

    Attributes:
        duration: seconds.
        cuts: shot changes of the picture, in seconds.
        fades: from each prompt of a schedule to the next.
    """

    duration: Fraction
    cuts: tuple[float, ...] = ()
    fades: tuple[Crossfade, ...] = ()


def to_conditioning(features: Features) -> tuple[Conditioning, Conditioning]:
    """The positive and the negative branch of guidance.

    The negative branch has the negative prompt, and neither CLIP nor sync features.
    """
    timeline = Timeline(
        duration=features.duration,
        cuts=detect_shot_changes(features.clip),
        fades=features.crossfades,
    )
    positive = {CLIP: features.clip, SYNC: features.sync, TIMELINE: timeline}
    return [[features.text, positive]], [[features.negative, {TIMELINE: timeline}]]


def without_picture(positive: Conditioning) -> Conditioning:
    """The same branch with the prompt alone."""
    return [
        [text, {key: value for key, value in entries.items() if key not in (CLIP, SYNC)}]
        for text, entries in positive
    ]


def unconditioned(features: Features) -> Conditioning:
    """A branch without picture and prompt: the learned empty ones, as in the training."""
    cuts = detect_shot_changes(features.clip)
    return [[None, {TIMELINE: Timeline(duration=features.duration, cuts=cuts)}]]


@dataclass(frozen=True, kw_only=True)
class ProjectedConditions:
    """Projected conditions of branches of guidance, the same for all takes and steps."""

    plan: WindowPlan | None
    branches: tuple[GuidanceBranch, ...]

    def to(self, device: torch.device) -> ProjectedConditions:
        """The same conditions on another device, for a model that is split over several."""
        moved = tuple(tuple(c.to(device) for c in branch) for branch in self.branches)
        return replace(self, branches=moved)


class CondProjected(comfy.conds.CONDConstant):
    """``ProjectedConditions`` as ComfyUI batches them: joined by branch, not repeated per take."""

    cond: ProjectedConditions

    def can_concat(self, other: CondProjected) -> bool:
        return self.cond.plan == other.cond.plan

    def concat(self, others: Sequence[CondProjected]) -> ProjectedConditions:
        parts = [self.cond, *(other.cond for other in others)]
        return replace(self.cond, branches=tuple(b for p in parts for b in p.branches))


def check_timeline(timeline: Timeline | None, text: Tensor) -> Timeline:
    """The timeline, which fits to the prompts ``text`` (prompts, 77, text_dim).

    Raises:
        MMAudioError: the conditioning is not from this pack, or was averaged with another one.
    """
    if timeline is None:
        raise MMAudioError(
            "got a conditioning of another kind of model (CLIPTextEncode?). Connect positive and "
            "negative of MMAudio Feature Extract."
        )
    expected = len(timeline.fades) + 1
    if len(text) != expected:
        raise MMAudioError(
            f"got a conditioning of {len(text)} prompts for a schedule of {expected}. Connect "
            "positive and negative of MMAudio Feature Extract or MMAudio Prompt Schedule, not "
            "averages of them."
        )
    return timeline


def check_latent_shape(latent: Tensor, duration: Fraction, params: FlowParams) -> SequenceLengths:
    """Lengths of all sequences of ``duration`` seconds, which fit to the latent.

    Raises:
        MMAudioError: the latent has another shape.
    """
    lengths = sequence_lengths(duration, params.audio)
    if tuple(latent.shape[1:]) != (1, lengths.latent, params.latent_dim):
        raise MMAudioError(
            f"got a latent of shape {tuple(latent.shape)}, expected (takes, 1, {lengths.latent}, "
            f"{params.latent_dim}) for these features. Connect the latent of the same MMAudio "
            "Feature Extract, or of MMAudio Encode with the same duration."
        )
    return lengths
