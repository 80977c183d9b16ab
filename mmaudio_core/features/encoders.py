"""CLIP and Synchformer on any number of frames or texts: in batches, what repeats only once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..checkpoint import PartKind
from ..progress import Progress, no_progress, tick_on_forward
from ..providers import ModelProvider, check_finite

CLIP_STAGE, SYNC_STAGE, TEXT_STAGE = "CLIP", "Synchformer", "text"
_SAMPLED = 97  # every so many-th number is compared before all are


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One of the encoders.

    Attributes:
        name: for messages.
        stage: for progress.
        batch: items that run together.
        activations: rough bytes of them an item: tokens * width * live tensors, in half precision.
        run: (network, items, dtype) -> features, a row an item.
    """

    kind: PartKind
    name: str
    stage: str
    batch: int
    activations: int
    run: Callable[[Any, Tensor, torch.dtype], Tensor]


CLIP_IMAGE = Encoder(
    kind=PartKind.CLIP,
    name="CLIP image encoder",
    stage=CLIP_STAGE,
    batch=16,
    activations=730 * 1280 * 24,
    run=lambda clip, frames, dtype: clip.encode_image(frames, dtype=dtype),
)
SYNCHFORMER = Encoder(
    kind=PartKind.SYNCHFORMER,
    name="Synchformer",
    stage=SYNC_STAGE,
    batch=8,
    activations=1569 * 768 * 24,
    run=lambda synchformer, segments, dtype: synchformer.encode_segments(segments, dtype=dtype),
)
CLIP_TEXT = Encoder(
    kind=PartKind.CLIP,
    name="text encoder",
    stage=TEXT_STAGE,
    batch=16,
    activations=730 * 1280 * 24,
    run=lambda clip, tokens, dtype: clip.encode_text(tokens, dtype=dtype),
)


def run_encoder(
    networks: ModelProvider,
    encoder: Encoder,
    items: Tensor,
    progress: Progress = no_progress,
    done: int = 0,
    total: int | None = None,
) -> Tensor:
    """Features of each item: (n, ...), float32 on the CPU.

    Args:
        networks: where the encoder's network comes from.
        encoder: which, and how.
        items: (n, ...) as the network takes them.
        progress: called at least once a transformer block.
        done, total: items of the job that were encoded before, and in all.

    Raises:
        NumericsError: the network made NaN or infinity.
    """
    total = len(items) if total is None else total
    distinct, which = distinct_items(items)
    placed = networks.acquire(encoder.kind, min(len(distinct), encoder.batch) * encoder.activations)
    network = placed.network
    parts: list[Tensor] = []
    ran = 0
    with (
        torch.no_grad(),
        tick_on_forward(network, lambda: progress(encoder.stage, min(done + ran, total), total)),
    ):
        for batch in torch.split(distinct, encoder.batch):
            features = encoder.run(network, batch.to(placed.device), placed.dtype)
            parts.append(features.float().cpu())
            ran += len(batch)
    progress(encoder.stage, min(done + len(items), total), total)
    return check_finite(torch.cat(parts), encoder.name, placed)[which]


def distinct_items(items: Tensor) -> tuple[Tensor, Tensor]:
    """Items (n, ...) without those that equal the one before, and which each of all is: (n,).

    Stills and animation hold a picture for many frames.
    """
    some = items.flatten(1)[:, ::_SAMPLED]
    repeats = torch.zeros(len(items), dtype=torch.bool)
    for index, alike in enumerate((some[1:] == some[:-1]).all(dim=1), 1):
        repeats[index] = bool(alike) and torch.equal(items[index], items[index - 1])
    if not bool(repeats.any()):
        return items, torch.arange(len(items))
    return items[~repeats], (~repeats).cumsum(0) - 1
