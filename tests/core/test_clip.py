"""CLIP against the published implementation, on tiny seeded weights."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch

from mmaudio_core.errors import CheckpointError
from mmaudio_core.models.clip import CLIP, IGNORED_KEYS, KEY_SUFFIXES, CLIPParams
from tests.core.networks import renamed, shapes_of
from tests.golden_files import golden, relative_error, tiny_weights

SHAPES = shapes_of(tiny_weights("clip"))
HALF = [torch.bfloat16, torch.float16]


@lru_cache
def tiny_clip(dtype: torch.dtype = torch.float32) -> CLIP:
    clip = CLIP(CLIPParams.from_shapes(SHAPES), device="meta")
    weights = renamed(tiny_weights("clip"), KEY_SUFFIXES, IGNORED_KEYS)
    clip.load_state_dict({key: w.to(dtype) for key, w in weights.items()}, assign=True)
    return clip


def test_params_are_inferred_from_the_shapes():
    assert CLIPParams.from_shapes(SHAPES) == CLIPParams(
        image_size=384,
        patch_size=14,
        vision_width=160,
        vision_layers=2,
        vision_heads=2,
        text_width=128,
        text_layers=2,
        text_heads=2,
        context_length=77,
        vocab_size=49408,
        embed_dim=64,
    )


@torch.inference_mode()
def test_picture_features_match():
    tensors, _ = golden("tiny_clip")
    features = tiny_clip().encode_image(tensors["image"])
    assert relative_error(features, tensors["image_features"]) < 1e-5


@torch.inference_mode()
def test_float_frames_give_what_bytes_give():
    frames = golden("tiny_clip")[0]["image"]
    features = tiny_clip().encode_image(frames)
    assert relative_error(tiny_clip().encode_image(frames / 255), features) < 1e-5


@torch.inference_mode()
def test_text_features_match():
    tensors, _ = golden("tiny_clip")
    features = tiny_clip().encode_text(tensors["tokens"])
    assert relative_error(features, tensors["text_features"]) < 1e-5


@torch.inference_mode()
def test_pooled_text_matches():
    tensors, _ = golden("tiny_clip_pooled")
    tokens = tensors["tokens"]
    assert relative_error(tiny_clip().pooled_text(tokens), tensors["pooled"]) < 1e-5
    used = int(tokens.argmax(dim=-1).max()) + 1  # what is behind the end changes nothing
    assert used < tokens.shape[1]
    assert relative_error(tiny_clip().pooled_text(tokens[:, :used]), tensors["pooled"]) < 1e-5


@pytest.mark.parametrize("dtype", HALF)
@torch.inference_mode()
def test_half_precision_stays_close(dtype: torch.dtype):
    clip, (tensors, _), (pooled, _) = (
        tiny_clip(dtype),
        golden("tiny_clip"),
        golden("tiny_clip_pooled"),
    )
    got = [
        (clip.encode_image(tensors["image"]), tensors["image_features"]),
        (clip.encode_text(tensors["tokens"]), tensors["text_features"]),
        (clip.pooled_text(pooled["tokens"]), pooled["pooled"]),
    ]
    for features, expected in got:
        assert features.dtype == dtype
        assert features.isfinite().all()
        assert relative_error(features, expected) < 0.05


@torch.inference_mode()
def test_a_run_can_stop_before_every_block():
    ran = []
    hooks = [
        module.register_forward_pre_hook(lambda m, _: ran.append(m))
        for module in tiny_clip().interruptible_modules()
    ]
    tensors, _ = golden("tiny_clip")
    tiny_clip().encode_image(tensors["image"][:1])
    tiny_clip().encode_text(tensors["tokens"])
    for hook in hooks:
        hook.remove()
    assert ran == tiny_clip().interruptible_modules()


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("visual.proj", None, "no tensor 'visual.proj', expected in a CLIP"),
        (
            "visual.positional_embedding",
            (257, 160),
            r"\(257, 160\), expected \(730, 160\)",
        ),
        ("text_projection", (64,), r"\(64\,\), expected \(128, 64\) in a CLIP"),
        ("visual.transformer.resblocks.3.ln_1.weight", (160,), r"blocks \[0, 1, 3\]"),
    ],
)
def test_other_shapes_are_refused(key: str, shape: tuple[int, ...] | None, message: str):
    shapes = {**SHAPES, key: shape} if shape else {k: s for k, s in SHAPES.items() if k != key}
    with pytest.raises(CheckpointError, match=message):
        CLIPParams.from_shapes(shapes)


def test_a_width_without_whole_heads_is_refused():
    narrow = {k: tuple(100 if n == 128 else n for n in shape) for k, shape in SHAPES.items()}
    with pytest.raises(CheckpointError, match="has width 100, expected a multiple of 64 in a CLIP"):
        CLIPParams.from_shapes(narrow)
