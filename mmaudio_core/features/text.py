"""Text features of prompts, fixed or scheduled over time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor

from ..errors import MMAudioError
from ..models.clip.tokenizer import tokenize
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from .encoders import CLIP_TEXT, run_encoder
from .prompt_schedule import parse_schedule, plan_crossfades
from .types import Features, TextFeatures

log = logging.getLogger(__name__)


def encode_prompts(
    networks: ModelProvider, prompt: str, negative_prompt: str, progress: Progress = no_progress
) -> TextFeatures:
    """Text features of both prompts."""
    text, negative = torch.split(_encode_text(networks, (prompt, negative_prompt), progress), 1)
    return TextFeatures(prompt=text, negative=negative)


def schedule_prompts(
    networks: ModelProvider,
    features: Features,
    schedule: str,
    crossfade: Fraction,
    progress: Progress = no_progress,
) -> Features:
    """The same features with other prompts over time: see ``parse_schedule`` and ``fades``.

    Raises:
        MMAudioError: a schedule that does not read, or features that have one already.
    """
    if features.fades:
        raise MMAudioError(
            "features that have a schedule already were got: connect those of MMAudio Feature "
            "Extract, and write one schedule"
        )
    sections = parse_schedule(schedule, features.duration)
    written = [words for s in sections for words in (s.prompt, s.negative) if words is not None]
    texts = list(dict.fromkeys(written))
    made = dict(zip(texts, _encode_text(networks, texts, progress), strict=True))

    def rows(words: Iterable[str | None], otherwise: Tensor) -> Tensor:
        return torch.stack([otherwise[0] if w is None else made[w] for w in words])

    return replace(
        features,
        text=rows((s.prompt for s in sections), features.text),
        negative=rows((s.negative for s in sections), features.negative),
        fades=plan_crossfades(sections, crossfade),
    )


def _encode_text(networks: ModelProvider, texts: Sequence[str], progress: Progress) -> Tensor:
    """(texts, 77, text_dim), float32 on the CPU."""
    features = run_encoder(networks, CLIP_TEXT, tokenize(texts), progress)
    log.info("encoded %d prompts", len(texts))
    return features
