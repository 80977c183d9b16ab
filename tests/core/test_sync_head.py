"""Synchformer's audio branch and head against the published implementation, on tiny weights."""

from __future__ import annotations

import pytest
import torch

from mmaudio_core.audio.sync_mel import htk_filters, segment_count, sync_mel
from mmaudio_core.checkpoint import PartKind
from mmaudio_core.errors import CheckpointError
from mmaudio_core.models.synchformer import SyncHead, SyncHeadParams
from tests.core.networks import shapes_of
from tests.core.small import assert_rows, counted
from tests.golden_files import golden, relative_error, tiny_weights
from tests.parity.build import build

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def network() -> SyncHead:
    made = build(PartKind.SYNC_HEAD, tiny_weights("sync_head"))
    assert isinstance(made, SyncHead)
    return made


@pytest.mark.parametrize("dtype", DTYPES)
def test_mel_audio_branch_and_head_match(dtype: torch.dtype):
    assert_rows("tiny_sync_head", dtype)


def test_a_whole_sound_has_the_segments_of_its_picture():
    assert [segment_count(n) for n in (0, 10_239, 10_240, 15_359, 15_360)] == [0, 0, 1, 1, 2]
    assert segment_count(8 * 16_000) == 24  # as 200 frames at 25 a second


def test_filters_are_triangles_on_htk_s_scale():
    filters = htk_filters()
    assert filters.shape == (128, 513)
    assert filters.max() <= 1
    middle = filters.argmax(dim=1) * 16_000 / 1024
    steps = torch.log10(1 + middle[40:] / 700).diff()
    assert steps.std() / steps.mean() < 0.35  # equal but for the width of a bin
    assert middle[0] < 60
    assert middle[-1] > 7_700


@torch.inference_mode()
def test_segments_do_not_see_each_other():
    tensors, _ = golden("tiny_sync_head")
    segment = tensors["waveform"].float()[:, 5120 * 3 : 5120 * 3 + 10_240]
    features = network().encode_segments(sync_mel(segment))
    assert relative_error(features[0], tensors["audio_features"][0, 3]) < 1e-4


@torch.inference_mode()
def test_a_run_can_stop_before_every_block():
    head, (tensors, _) = network(), golden("tiny_sync_head")
    visual = tensors["visual_features"].flatten(1, 2)
    with counted(head) as ran:
        audio = head.encode_segments(tensors["mel"][0].float())
        head.offset_logits(visual, audio.flatten(0, 1)[None])
    assert ran == head.interruptible_modules()
    assert len(ran) == 2 + 1 + 2


def test_params_are_inferred_from_the_shapes():
    params = SyncHeadParams.from_shapes(shapes_of(tiny_weights("sync_head")))
    assert params == SyncHeadParams(width=128, audio_layers=2, layers=2, offsets=21)
    assert params.seconds.tolist() == pytest.approx([n / 5 for n in range(-10, 11)], abs=1e-6)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("transformer.off_head.weight", None, "no tensor 'transformer.off_head.weight', expected"),
        ("transformer.off_head.weight", (21, 96), "width 96, expected a multiple of 64"),
        (
            "transformer.pos_emb_cfg.pos_emb",
            (1, 184, 128),
            r"\(1, 184, 128\), expected \(1, 198, 128\) in a synchronisation head of Synchformer",
        ),
        (
            "afeat_extractor.ast.embeddings.position_embeddings",
            (1, 1214, 128),
            r"\(1, 1214, 128\), expected \(1, 74, 128\)",
        ),
        (
            "afeat_extractor.ast.embeddings.patch_embeddings.projection.weight",
            (128, 1, 8, 8),
            r"\(128, 1, 8, 8\), expected \(128, 1, 16, 16\)",
        ),
    ],
)
def test_other_shapes_are_refused(key: str, shape: tuple[int, ...] | None, message: str):
    shapes = shapes_of(tiny_weights("sync_head"))
    shapes = {**shapes, key: shape} if shape else {k: s for k, s in shapes.items() if k != key}
    with pytest.raises(CheckpointError, match=message):
        SyncHeadParams.from_shapes(shapes)
