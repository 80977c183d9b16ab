"""What repeats is encoded once, and comes out as often as it went in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from mmaudio_core.features.encoders import (
    CLIP_IMAGE,
    SYNCHFORMER,
    Encoder,
    distinct_items,
    run_encoder,
)
from tests.core.small import MemoryNetworks
from tests.golden_files import relative_error

NETWORKS = MemoryNetworks()


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
        got = run_encoder(NETWORKS, encoder, torch.stack((a, a, b, b, b, a)))
    assert ran == [3]
    for index, item in enumerate((a, a, b, b, b, a)):
        assert relative_error(got[index], run_encoder(NETWORKS, encoder, item[None])[0]) < 1e-5


def test_a_difference_anywhere_counts() -> None:
    items = pictures(1, 3, 64, 64).repeat(4, 1, 1, 1)
    items[1:, 2, 63, 62] ^= 1  # not among the numbers that are compared first
    kept, which = distinct_items(items)
    assert len(kept) == 2
    assert which.tolist() == [0, 1, 1, 1]
    assert torch.equal(kept[which], items)


def test_progress_counts_what_repeats_too() -> None:
    calls: list[tuple[str, int, int]] = []
    frames = pictures(1, 3, 384, 384).repeat(20, 1, 1, 1)
    run_encoder(NETWORKS, CLIP_IMAGE, frames, lambda *call: calls.append(call), done=5, total=40)
    assert calls[0] == ("CLIP", 5, 40)
    assert calls[-1] == ("CLIP", 25, 40)
