"""Running the CLIP and Synchformer encoders in batches, on what the cache lacks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..checkpoint import PartKind
from ..feature_cache import Digest, item_digests
from ..progress import Progress, no_progress, tick_on_forward
from ..providers import ModelProvider, check_finite

log = logging.getLogger(__name__)

CLIP_STAGE, SYNC_STAGE, TEXT_STAGE, LABEL_STAGE = "CLIP", "Synchformer", "text", "labels"
# Live tensors of (tokens, width) at the peak of a block. CLIP's heads are 80 wide, for which
# torch may fall back to attention that holds all its scores.
_LIVE_TENSORS, _CLIP_LIVE_TENSORS = 12, 30


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
    activations=730 * 1280 * _CLIP_LIVE_TENSORS,
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
    activations=730 * 1280 * _CLIP_LIVE_TENSORS,
    run=lambda clip, tokens, dtype: clip.encode_text(tokens, dtype=dtype),
)
CLIP_LABEL = Encoder(
    kind=PartKind.CLIP,
    name="label encoder",
    stage=LABEL_STAGE,
    batch_size=64,
    activations=77 * 1024 * _CLIP_LIVE_TENSORS,
    run=lambda clip, tokens, dtype: clip.pooled_text(tokens, dtype=dtype),
)


class Encoded(NamedTuple):
    """Features of items, one row per item, and the digests they are cached under."""

    features: Tensor
    digests: tuple[Digest, ...]


def run_encoder(
    networks: ModelProvider,
    encoder: Encoder,
    items: Tensor,
    progress: Progress = no_progress,
    done: int = 0,
    total: int | None = None,
) -> Encoded:
    """Features of each item: (n, ...), float32 on the CPU.

    Only items that are neither in the provider's cache nor repeated here are encoded; if there are
    none, the network is not even acquired.

    Args:
        networks: provides the encoder's network and the cache.
        encoder: which encoder to run.
        items: (n, ...) network inputs on the CPU.
        progress: called at least once per transformer block.
        done: items of the job that were encoded before.
        total: items of the whole job; by default n.

    Raises:
        NumericsError: the network produced NaN or infinity.
    """
    total = len(items) if total is None else total
    digests = item_digests(items, f"{encoder.name}:{networks.fingerprint(encoder.kind)}")
    cache = networks.feature_cache
    features = {digest: found for digest in digests if (found := cache.get(digest)) is not None}
    missing = {digest: index for index, digest in enumerate(digests) if digest not in features}
    if missing:
        inputs = items[list(missing.values())]
        already = done + len(items) - len(inputs)
        for digest, row in zip(
            missing, _encode(networks, encoder, inputs, progress, already, total), strict=True
        ):
            features[digest] = row
            cache.put(digest, row)
    log.info("%s: encoded %d of %d inputs", encoder.name, len(missing), len(items))
    progress(encoder.stage, min(done + len(items), total), total)
    return Encoded(torch.stack([features[digest] for digest in digests]), tuple(digests))


def concatenate(parts: Sequence[Encoded]) -> Encoded:
    """All items of all parts, in order."""
    return Encoded(
        torch.cat([part.features for part in parts]),
        tuple(digest for part in parts for digest in part.digests),
    )


def _encode(
    networks: ModelProvider,
    encoder: Encoder,
    items: Tensor,
    progress: Progress,
    done: int,
    total: int,
) -> Tensor:
    activations = min(len(items), encoder.batch_size) * encoder.activations
    activation_bytes = activations * networks.compute_dtype(encoder.kind).itemsize
    loaded = networks.acquire(encoder.kind, activation_bytes)
    batches: list[Tensor] = []
    encoded = 0

    def tick() -> None:
        progress(encoder.stage, min(done + encoded, total), total)

    with torch.no_grad(), tick_on_forward(loaded.network, tick):
        for batch in torch.split(items, encoder.batch_size):
            features = encoder.run(loaded.network, batch.to(loaded.device), loaded.dtype)
            batches.append(features.float().cpu())
            encoded += len(batch)
    return check_finite(torch.cat(batches), encoder.name, loaded)
