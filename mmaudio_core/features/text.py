"""CLIP text features of prompts, constant or scheduled over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor

from ..errors import MMAudioError, Problem
from ..models.clip.tokenizer import tokenize
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from .encoders import CLIP_TEXT, run_encoder
from .prompt_schedule import parse_schedule, plan_crossfades
from .types import Features, TextFeatures


def encode_prompts(
    networks: ModelProvider, prompt: str, negative_prompt: str, progress: Progress = no_progress
) -> TextFeatures:
    """Text features of a prompt and its negative prompt."""
    text, negative = torch.split(_encode_text(networks, (prompt, negative_prompt), progress), 1)
    return TextFeatures(prompt=text, negative=negative)


def schedule_prompts(
    networks: ModelProvider,
    features: Features,
    schedule: str,
    crossfade: Fraction,
    progress: Progress = no_progress,
) -> Features:
    """Replace the prompts of ``features`` by those of a schedule.

    Args:
        networks: provides CLIP.
        features: features of a single prompt, which stays where the schedule has none.
        schedule: see ``parse_schedule``.
        crossfade: seconds of a transition; see ``plan_crossfades``.
        progress: called at least once per transformer block.

    Raises:
        MMAudioError: the schedule is invalid, or the features are scheduled already.
    """
    if features.crossfades:
        raise MMAudioError(
            f"got features with a schedule of {len(features.text)} prompts, expected features "
            "without a schedule",
            Problem.SCHEDULED_TWICE,
        )
    entries = parse_schedule(schedule, features.duration)
    prompts = [p for entry in entries for p in (entry.prompt, entry.negative) if p is not None]
    texts = list(dict.fromkeys(prompts))
    encoded = dict(zip(texts, _encode_text(networks, texts, progress), strict=True))

    def stack(texts: Iterable[str | None], default: Tensor) -> Tensor:
        return torch.stack([default[0] if text is None else encoded[text] for text in texts])

    return replace(
        features,
        text=stack((entry.prompt for entry in entries), features.text),
        negative=stack((entry.negative for entry in entries), features.negative),
        crossfades=plan_crossfades(entries, crossfade),
    )


def _encode_text(networks: ModelProvider, texts: Sequence[str], progress: Progress) -> Tensor:
    """(texts, 77, text_dim), float32 on the CPU."""
    return run_encoder(networks, CLIP_TEXT, tokenize(texts), progress).features
