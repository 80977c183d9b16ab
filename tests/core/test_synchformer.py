"""Synchformer's visual branch against the published implementation, on tiny seeded weights."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch
from torch import Tensor

from mmaudio_core.errors import CheckpointError
from mmaudio_core.models.synchformer import (
    IGNORED_KEYS,
    KEY_SUFFIXES,
    Synchformer,
    SynchformerParams,
)
from tests.core.networks import renamed, shapes_of
from tests.golden_files import golden, relative_error, tiny_weights

SHAPES = shapes_of(tiny_weights("synchformer"))


@lru_cache
def tiny_synchformer(dtype: torch.dtype = torch.float32) -> Synchformer:
    network = Synchformer(SynchformerParams.from_shapes(SHAPES), device="meta")
    weights = renamed(tiny_weights("synchformer"), KEY_SUFFIXES, IGNORED_KEYS)
    network.load_state_dict({key: w.to(dtype) for key, w in weights.items()}, assign=True)
    return network


def segments() -> tuple[Tensor, Tensor]:
    """(2, 16, 3, 224, 224) segments, overlapping by half, and their features."""
    tensors, _ = golden("tiny_synchformer")
    cut = tensors["frames"][0].unfold(0, 16, 8).movedim(-1, 1)
    return cut, tensors["features"].unflatten(1, (2, 8))[0]


def test_params_are_inferred_from_the_shapes():
    params = SynchformerParams.from_shapes(SHAPES)
    assert params == SynchformerParams(width=128, layers=2, times=8, places=196, tube=2, patch=16)
    assert params.segment_frames == 16


@torch.inference_mode()
def test_features_match():
    frames, expected = segments()
    assert relative_error(tiny_synchformer().encode_segments(frames), expected) < 1e-5


@torch.inference_mode()
def test_segments_do_not_see_each_other():
    frames, expected = segments()
    alone = tiny_synchformer().encode_segments(frames[1:])
    assert relative_error(alone, expected[1:]) < 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.inference_mode()
def test_half_precision_stays_close(dtype: torch.dtype):
    frames, expected = segments()
    features = tiny_synchformer(dtype).encode_segments(frames)
    assert features.dtype == dtype
    assert features.isfinite().all()
    assert relative_error(features, expected) < 0.05


@torch.inference_mode()
def test_a_run_can_stop_before_every_block():
    network, ran = tiny_synchformer(), []
    hooks = [
        module.register_forward_pre_hook(lambda m, _: ran.append(m))
        for module in network.interruptible_modules()
    ]
    network.encode_segments(segments()[0][:1])
    for hook in hooks:
        hook.remove()
    assert ran == network.interruptible_modules()


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("vfeat_extractor.patch_embed_3d.proj.weight", None, "no tensor .*patch_embed_3d"),
        ("vfeat_extractor.temp_embed", (8, 128), r"\(8, 128\), expected \(1, any, 128\) in a Sync"),
        ("vfeat_extractor.pos_embed", (1, 197, 96), r"\(1, 197, 96\), expected \(1, any, 128\)"),
    ],
)
def test_other_shapes_are_refused(key: str, shape: tuple[int, ...] | None, message: str):
    shapes = {**SHAPES, key: shape} if shape else {k: s for k, s in SHAPES.items() if k != key}
    with pytest.raises(CheckpointError, match=message):
        SynchformerParams.from_shapes(shapes)
