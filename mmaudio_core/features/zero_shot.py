"""Which labels a picture shows: CLIP's zero-shot scores (Radford et al., arXiv 2103.00020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..models.clip.tokenizer import PADDING, tokenize
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from .encoders import CLIP_LABEL, run_encoder
from .labels import Label

_SCALE = 100.0
"""What similarities are multiplied by; CLIP's training lets its own scale grow to this."""
_SHORT = 16
"""Tokens that suffice for nearly all labels. The encoder is causal: those behind the end of a text
change nothing of it, but cost time."""


class ScoredLabel(NamedTuple):
    """What a prompt may say of a picture, and how much of the picture it fits: 0 to 1."""

    said: str
    score: float


def encode_labels(
    networks: ModelProvider, labels: Sequence[Label], progress: Progress = no_progress
) -> Tensor:
    """CLIP's unit vectors (labels, clip_dim) of the labels' sentences, on the CPU."""
    tokens = tokenize([label.sentence for label in labels])
    lengths = [_SHORT if bool((row[_SHORT:] == PADDING).all()) else len(row) for row in tokens]
    done = 0
    vectors: dict[int, Tensor] = {}
    for length in sorted(set(lengths)):
        rows = [row for row, needed in enumerate(lengths) if needed == length]
        items = tokens[rows, :length].contiguous()
        encoded = run_encoder(networks, CLIP_LABEL, items, progress, done, len(tokens))
        vectors.update(zip(rows, encoded.features, strict=True))
        done += len(rows)
    return torch.stack([vectors[row] for row in range(len(tokens))])


def score_labels(frames: Tensor, labels: Sequence[Label], vectors: Tensor) -> list[ScoredLabel]:
    """What the frames show, the highest score first.

    Each frame shares a score of 1 out between all labels, by the softmax that trained CLIP.
    A label's score is its mean over the frames; those of labels that say the same are added.

    Args:
        frames: CLIP features (V, clip_dim), unit vectors.
        labels: to choose from.
        vectors: (labels, clip_dim), from ``encode_labels``.
    """
    shares = (_SCALE * frames.double() @ vectors.double().T).softmax(dim=-1).mean(dim=0)
    scores: dict[str, float] = {}
    for label, share in zip(labels, shares, strict=True):
        scores[label.said] = scores.get(label.said, 0.0) + share.item()
    ranked = sorted(scores.items(), key=lambda item: -item[1])  # stable: ties stay in order
    return [ScoredLabel(said, score) for said, score in ranked]
