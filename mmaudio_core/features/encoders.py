"""Running the CLIP and Synchformer encoders in batches, skipping repeated inputs."""

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
_LIVE_TENSORS = 12  # of (tokens, width), at the peak of a block
_PRECHECK_STRIDE = 97  # items are first compared at every 97th element


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """How to run one of the encoders.

    Attributes:
        kind: checkpoint part that holds the network.
        name: name in error messages.
        stage: stage reported to ``Progress``.
        batch_size: items per forward pass.
        activations: peak number of live activation values per item.
        run: (network, items, dtype) -> features, one row per item.
    """

    kind: PartKind
    name: str
    stage: str
    batch_size: int
    activations: int
    run: Callable[[Any, Tensor, torch.dtype], Tensor]


CLIP_IMAGE = Encoder(
    kind=PartKind.CLIP,
    name="CLIP image encoder",
    stage=CLIP_STAGE,
    batch_size=16,
    activations=730 * 1280 * _LIVE_TENSORS,
    run=lambda clip, frames, dtype: clip.encode_image(frames, dtype=dtype),
)
SYNCHFORMER = Encoder(
    kind=PartKind.SYNCHFORMER,
    name="Synchformer",
    stage=SYNC_STAGE,
    batch_size=8,
    activations=1569 * 768 * _LIVE_TENSORS,
    run=lambda synchformer, segments, dtype: synchformer.encode_segments(segments, dtype=dtype),
)
CLIP_TEXT = Encoder(
    kind=PartKind.CLIP,
    name="text encoder",
    stage=TEXT_STAGE,
    batch_size=16,
    activations=730 * 1280 * _LIVE_TENSORS,
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
        networks: provides the encoder's network.
        encoder: which encoder to run.
        items: (n, ...) network inputs.
        progress: called at least once per transformer block.
        done: items of the job that were encoded before.
        total: items of the whole job; by default n.

    Raises:
        NumericsError: the network produced NaN or infinity.
    """
    total = len(items) if total is None else total
    distinct, index = distinct_items(items)
    activations = min(len(distinct), encoder.batch_size) * encoder.activations
    activation_bytes = activations * networks.compute_dtype(encoder.kind).itemsize
    loaded = networks.acquire(encoder.kind, activation_bytes)
    batches: list[Tensor] = []
    encoded = 0

    def tick() -> None:
        progress(encoder.stage, min(done + encoded, total), total)

    with torch.no_grad(), tick_on_forward(loaded.network, tick):
        for batch in torch.split(distinct, encoder.batch_size):
            features = encoder.run(loaded.network, batch.to(loaded.device), loaded.dtype)
            batches.append(features.float().cpu())
            encoded += len(batch)
    progress(encoder.stage, min(done + len(items), total), total)
    return check_finite(torch.cat(batches), encoder.name, loaded)[index]


def distinct_items(items: Tensor) -> tuple[Tensor, Tensor]:
    """Drop items that equal their predecessor, as in stills and animation.

    Returns:
        The remaining items (m, ...), and for each of the n items its index among them: (n,).
    """
    samples = items.flatten(1)[:, ::_PRECHECK_STRIDE]
    repeated = torch.zeros(len(items), dtype=torch.bool)
    for index, similar in enumerate((samples[1:] == samples[:-1]).all(dim=1), 1):
        repeated[index] = bool(similar) and torch.equal(items[index], items[index - 1])
    if not bool(repeated.any()):
        return items, torch.arange(len(items))
    return items[~repeated], (~repeated).cumsum(0) - 1
