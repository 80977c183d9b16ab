"""Networks are loaded at first use; NaN in any stage is traced to the weights or the precision."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.codec.decode import decode
from mmaudio_core.errors import NumericsError, Problem
from mmaudio_core.features.types import Features
from mmaudio_core.features.visual import TimeRange, VideoClip
from mmaudio_core.media import ImageSequence
from mmaudio_core.pipeline import extract_features
from mmaudio_core.providers import CachedModels, LoadedModel, check_finite
from mmaudio_core.sampling.sample import sample
from mmaudio_core.scoring.sync import score_sync
from tests.core.small import MemoryNetworks
from tests.parity.build import tiny_bundle


def second_of_video() -> VideoClip:
    images = torch.rand(25, 40, 60, 3, generator=torch.Generator().manual_seed(0))
    return VideoClip(source=ImageSequence(images=images, frame_rate=Fraction(25)))


def features() -> Features:
    return Features(
        duration=Fraction(1),
        clip=None,
        sync=None,
        text=torch.zeros(1, 77, 128),
        negative=torch.zeros(1, 77, 128),
    )


def run(networks: MemoryNetworks, stage: str) -> Tensor | object:
    if stage in {"text encoder", "CLIP image encoder", "Synchformer"}:
        return extract_features(networks, second_of_video(), TimeRange(duration=Fraction(1)))
    if stage == "flow network":
        return sample(networks, features(), [0], steps=1)
    if stage == "sync score":
        return score_sync(networks, torch.zeros(1, 14 * 8, 128), torch.ones(1, 1, 76_800), 16_000)
    return decode(networks, torch.zeros(1, 32, 20), Fraction(1))


# stage, the network it uses, a weight of that which the other stages do not touch
STAGES = [
    ("text encoder", PartKind.CLIP, "ln_final.weight"),
    ("CLIP image encoder", PartKind.CLIP, "visual.ln_post.weight"),
    ("Synchformer", PartKind.SYNCHFORMER, "vfeat_extractor.norm.weight"),
    ("flow network", PartKind.FLOW, "fused_blocks.1.linear1.weight"),
    ("VAE", PartKind.VAE, "decoder.up.0.block.1.conv1.weight"),
    ("vocoder", PartKind.VOCODER, "conv_pre.weight"),
    ("sync score", PartKind.SYNC_HEAD, "aproj.weight"),
]


@pytest.mark.parametrize(("stage", "kind", "key"), STAGES)
def test_weights_that_are_not_finite_are_named(stage: str, kind: PartKind, key: str):
    networks = MemoryNetworks()
    weight = networks.acquire(kind, 0).network.get_parameter(key)
    weight.data = weight.data.clone()
    weight.data.view(-1)[0] = torch.nan
    with pytest.raises(NumericsError) as error:
        run(networks, stage)
    message = str(error.value)
    assert f"the {stage} produced NaN or infinite values" in message
    assert f"the weights in {kind.value}.bin" in message
    assert key in message
    assert error.value.problem is Problem.WRONG_WEIGHTS


def test_finite_weights_leave_the_numerics():
    network = torch.nn.Linear(2, 2)
    cpu = torch.device("cpu")
    model = LoadedModel(network=network, device=cpu, dtype=torch.float16, name="w.pth")
    with pytest.raises(NumericsError) as error:
        check_finite(torch.tensor([1.0, float("inf")]), "VAE", model)
    assert "infinite values in float16, although the weights in w.pth are" in str(error.value)
    assert error.value.problem is Problem.NUMERICS
    assert check_finite(torch.ones(2), "VAE", model).sum() == 2


def test_models_are_loaded_once_and_only_when_used(tmp_path: Path):
    models = CachedModels(bundle=tiny_bundle(tmp_path, "small_16k"), dtype=torch.bfloat16)
    assert models.params.latent_dim == 20
    for path in tmp_path.glob("[1-9]*"):
        path.unlink()  # only the flow network's file is left
    flow = models.acquire(PartKind.FLOW, 0)
    assert flow.dtype == models.compute_dtype(PartKind.FLOW) == torch.bfloat16
    assert flow.name == "0.safetensors"
    assert models.acquire(PartKind.FLOW, 0) is flow
