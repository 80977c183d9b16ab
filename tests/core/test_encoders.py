"""Encoders run on what is neither repeated nor cached, and give every item its features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from mmaudio_core.feature_cache import FeatureCache
from mmaudio_core.features.encoders import (
    CLIP_IMAGE,
    SYNCHFORMER,
    Encoder,
    run_encoder,
)
from tests.core.small import MemoryNetworks
from tests.golden_files import relative_error

NETWORKS = MemoryNetworks()
CACHING = MemoryNetworks(placed=NETWORKS.placed, feature_cache=FeatureCache())


def pictures(*shape: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=draw)


@contextmanager
def rows(encoder: Encoder) -> Iterator[list[int]]:
    """Items of each run of the encoder's network."""
    found: list[int] = []
    network = NETWORKS.acquire(encoder.kind, 0).network
    original = getattr(network, "encode_image" if encoder is CLIP_IMAGE else "encode_segments")

    def spy(items: Tensor, *, dtype: torch.dtype) -> Tensor:
        found.append(len(items))
        return original(items, dtype=dtype)

    setattr(network, original.__name__, spy)
    try:
        yield found
    finally:
        delattr(network, original.__name__)


@pytest.mark.parametrize(
    ("encoder", "shape"), [(CLIP_IMAGE, (3, 384, 384)), (SYNCHFORMER, (16, 3, 224, 224))]
)
def test_a_held_picture_is_encoded_once(encoder: Encoder, shape: tuple[int, ...]) -> None:
    a, b = pictures(2, *shape)
    with rows(encoder) as ran:
        got = run_encoder(NETWORKS, encoder, torch.stack((a, a, b, b, b, a))).features
    assert ran == [2]
    for index, item in enumerate((a, a, b, b, b, a)):
        alone = run_encoder(NETWORKS, encoder, item[None]).features[0]
        assert relative_error(got[index], alone) < 1e-5


def test_only_new_frames_are_encoded() -> None:
    frames = pictures(6, 3, 384, 384, seed=1)
    with rows(CLIP_IMAGE) as ran:
        first = run_encoder(CACHING, CLIP_IMAGE, frames[:4]).features
        both = run_encoder(CACHING, CLIP_IMAGE, frames[2:]).features
    assert ran == [4, 2]
    assert torch.equal(both[:2], first[2:])


def test_another_precision_shares_nothing() -> None:
    frames = pictures(1, 3, 384, 384, seed=2)
    half = MemoryNetworks(dtype=torch.bfloat16, feature_cache=CACHING.feature_cache)
    exact = run_encoder(CACHING, CLIP_IMAGE, frames).features
    rounded = run_encoder(half, CLIP_IMAGE, frames).features
    assert not torch.equal(exact, rounded)


def test_progress_counts_what_repeats_too() -> None:
    calls: list[tuple[str, int, int]] = []
    frames = pictures(1, 3, 384, 384).repeat(20, 1, 1, 1)
    run_encoder(NETWORKS, CLIP_IMAGE, frames, lambda *call: calls.append(call), done=5, total=40)
    assert calls[0] == ("CLIP", 24, 40)  # 19 of the 20 need no encoding
    assert calls[-1] == ("CLIP", 25, 40)
