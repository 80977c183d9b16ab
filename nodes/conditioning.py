"""ComfyUI's CONDITIONING of this pack: features beside the text, and a job's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import comfy.conds
from torch import Tensor

from ..mmaudio_core.config import SequenceLengths, sequence_lengths
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.features.prompt_schedule import Crossfade
from ..mmaudio_core.features.shots import detect_shot_changes
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.models.flow import FlowParams
from ..mmaudio_core.sampling.guidance import GuidanceBranch
from ..mmaudio_core.sampling.windows import WindowPlan

# Entries of a CONDITIONING's dict.
CLIP, SYNC, TIMELINE = "mmaudio_clip", "mmaudio_sync", "mmaudio_timeline"

Conditioning = list[list[Any]]  # ComfyUI's CONDITIONING


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A job's time: both branches of guidance carry it.

    Attributes:
        duration: seconds.
        cuts: seconds at which the picture changes.
        fades: where each prompt hands over to the next.
    """

    duration: Fraction
    cuts: tuple[float, ...] = ()
    fades: tuple[Crossfade, ...] = ()


def conditioning(features: Features) -> tuple[Conditioning, Conditioning]:
    """The two branches of guidance as ComfyUI's CONDITIONING.

    The negative one has the negative prompt's text and neither picture nor sync.
    """
    timeline = Timeline(
        duration=features.duration,
        cuts=detect_shot_changes(features.clip),
        fades=features.crossfades,
    )
    positive = {CLIP: features.clip, SYNC: features.sync, TIMELINE: timeline}
    return [[features.text, positive]], [[features.negative, {TIMELINE: timeline}]]


def text_only(positive: Conditioning) -> Conditioning:
    """The same branch without picture and sync: the prompt alone."""
    return [
        [text, {key: value for key, value in rest.items() if key not in (CLIP, SYNC)}]
        for text, rest in positive
    ]


@dataclass(frozen=True, kw_only=True)
class Projected:
    """What branches of guidance are conditioned on, the same for every take and step."""

    plan: WindowPlan | None
    branches: tuple[GuidanceBranch, ...]


class CondProjected(comfy.conds.CONDConstant):
    """Conditions as ComfyUI batches them: branches side by side, nothing repeated for the takes."""

    cond: Projected

    def can_concat(self, other: CondProjected) -> bool:
        return self.cond.plan == other.cond.plan

    def concat(self, others: Sequence[CondProjected]) -> Projected:
        parts = [self.cond, *(other.cond for other in others)]
        return replace(self.cond, branches=tuple(b for p in parts for b in p.branches))


def checked_lengths(
    timeline: Timeline | None, noise: Tensor, params: FlowParams
) -> SequenceLengths:
    if timeline is None:
        raise MMAudioError(
            "a conditioning of another kind was got (CLIPTextEncode?): connect positive and "
            "negative of MMAudio Feature Extract"
        )
    lengths = sequence_lengths(timeline.duration, params.audio)
    length, width = lengths.latent, params.latent_dim
    if tuple(noise.shape[1:]) != (1, length, width):
        raise MMAudioError(
            f"a latent of shape {tuple(noise.shape)} was got, (takes, 1, {length}, {width}) was "
            "expected for these features: connect the latent of the same MMAudio Feature Extract, "
            "or of MMAudio Encode with as much sound"
        )
    return lengths


def check_prompts(text: Tensor, timeline: Timeline) -> None:
    if len(text) != len(timeline.fades) + 1:
        raise MMAudioError(
            f"a conditioning of {len(text)} prompts was got for a schedule of "
            f"{len(timeline.fades) + 1}: connect positive and negative of MMAudio Feature Extract "
            "or MMAudio Prompt Schedule, not averages of them"
        )
