"""LoRA files: every format yields the change it stores; files that do not fit are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mmaudio_core.checkpoint.lora.describe import LoraFacts, describe_lora
from mmaudio_core.checkpoint.lora.load import Change, Replacement, load_lora, match_lora
from mmaudio_core.checkpoint.lora.origin import training_metadata
from mmaudio_core.checkpoint.lora.settings import read_settings
from mmaudio_core.checkpoint.published import VARIANTS
from mmaudio_core.errors import CheckpointError
from tests.golden_files import relative_error, tiny_manifests
from tests.native.lora_files import RANK, formats, matrices

SHAPES = tiny_manifests()["dit_large_44k_v2"]
FORMATS = formats(SHAPES)
QKV = "fused_blocks.0.attn.qkv"


def delta(change: Change, shape: Sequence[int]) -> Tensor:
    assert not isinstance(change, Replacement)
    return change.delta(shape)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(name: str, tmp_path: Path) -> None:
    file = FORMATS[name]
    changes = load_lora(file.write(tmp_path, name), SHAPES)
    assert changes.keys() == file.deltas.keys()
    for key, expected in file.deltas.items():
        assert relative_error(delta(changes[key], SHAPES[key]), expected) < 1e-6, key


def test_one_by_one_convolutions_fit_linear_layers() -> None:
    up, down = matrices((128, 512), 0)
    key = "joint_blocks.0.text_block.ffn.w2"
    stored = {f"{key}.lora_up.weight": up[..., None], f"{key}.lora_down.weight": down[..., None]}
    changes = match_lora(stored, SHAPES)
    torch.testing.assert_close(delta(changes[f"{key}.weight"], (128, 512)), up @ down)


def test_a_fused_and_a_separate_change_add_up() -> None:
    width = SHAPES[f"{QKV}.weight"][1]
    whole, part = matrices((3 * width, width), 0), matrices((width, width), 1)
    names = (QKV, QKV.replace("qkv", "to_k"))
    stored = {
        f"{name}.lora_{letter}.weight": tensor
        for name, pair in zip(names, (whole, part), strict=True)
        for letter, tensor in zip("BA", pair, strict=True)
    }
    expected = whole[0] @ whole[1]
    expected.view(-1, 64, 3, width)[:, :, 1] += (part[0] @ part[1]).view(-1, 64, width)
    got = delta(match_lora(stored, SHAPES)[f"{QKV}.weight"], expected.shape)
    torch.testing.assert_close(got, expected)


def test_whole_changes_and_weights() -> None:
    """What ComfyUI's SaveLoRA and LoraSave write besides matrices."""
    weight, bias = (torch.randn(SHAPES[f"{QKV}.{part}"]) for part in ("weight", "bias"))
    got = match_lora(
        {
            f"diffusion_model.{QKV}.diff": weight,
            f"diffusion_model.{QKV}.diff_b": bias,
            "diffusion_model.fused_blocks.1.attn.qkv.set_weight": weight,
        },
        SHAPES,
    )
    assert got.keys() == {f"{QKV}.weight", f"{QKV}.bias", "fused_blocks.1.attn.qkv.weight"}
    torch.testing.assert_close(delta(got[f"{QKV}.weight"], weight.shape), weight)
    torch.testing.assert_close(delta(got[f"{QKV}.bias"], bias.shape), bias)
    assert isinstance(got["fused_blocks.1.attn.qkv.weight"], Replacement)


def test_a_weight_changed_twice_is_refused() -> None:
    stored = {f"{QKV}.diff": torch.zeros(SHAPES[f"{QKV}.weight"]), **pair(QKV)}
    with pytest.raises(CheckpointError, match="twice"):
        match_lora(stored, SHAPES)


def pair(module: str, out: int = 384, width: int = 128) -> dict[str, Tensor]:
    up, down = matrices((out, width), 0)
    return {f"{module}.lora_B.weight": up, f"{module}.lora_A.weight": down}


def test_keys_that_match_nothing_are_listed() -> None:
    stored = pair(QKV)
    for block in range(20, 24):
        stored |= pair(f"double_blocks.{block}.attn.qkv")
    with pytest.raises(CheckpointError) as raised:
        match_lora(stored, SHAPES, name="other.safetensors")
    message = str(raised.value)
    assert "8 of 10 keys in other.safetensors match nothing" in message
    assert "double_blocks.20.attn.qkv.lora_B.weight" in message
    assert "and 4 more" in message
    assert "lora_down/lora_up" in message


def test_a_matrix_without_the_other_is_refused() -> None:
    stored = pair(QKV)
    del stored[f"{QKV}.lora_A.weight"]
    with pytest.raises(CheckpointError, match="without its other matrix"):
        match_lora(stored, SHAPES)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({f"{QKV}.lora_B.bias": torch.zeros(384)}, "lora_B.bias"),
        ({f"{QKV}.dora_scale": torch.zeros(384, 1)}, "parts of DoRA"),
        ({"lora_te_text_model.lora_up.weight": torch.zeros(4, 4)}, "for a text encoder"),
        ({f"{QKV}.lora_B.other.weight": torch.zeros(384, RANK)}, "lora_B.other"),
        ({f"{QKV}.alpha": torch.zeros(2)}, f"{QKV}.alpha"),
    ],
)
def test_tensors_that_cannot_be_applied_are_refused(extra: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        match_lora(pair(QKV) | extra, SHAPES)


def test_another_width_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"1344 x 448 .*expected 384 x 128.*variant"):
        match_lora(pair(QKV, 1344, 448), SHAPES)
    with pytest.raises(CheckpointError, match="512 x 128"):
        match_lora(pair(f"{QKV[:-3]}to_q", 512), SHAPES)


def test_two_ranks_in_a_pair_are_refused() -> None:
    stored = pair(QKV)
    stored[f"{QKV}.lora_A.weight"] = torch.zeros(RANK + 1, 128)
    with pytest.raises(CheckpointError, match="rank 4 and 5"):
        match_lora(stored, SHAPES)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"blocks.0.hada_w1_a": torch.zeros(2)}, "holds LoHa"),
        ({f"{QKV}.weight": torch.zeros(384, 128)}, "holds no LoRA"),
        ({}, "holds no LoRA"),
    ],
)
def test_a_file_of_another_method_is_refused(tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        match_lora(tensors, SHAPES)


def test_lycoris_s_rs_lora_is_ignored() -> None:
    settings = read_settings({"ss_network_args": '{"rs_lora": "True"}', "note": "{broken"})
    assert not settings.rank_stabilized
    assert settings.alpha is None


def test_settings_nested_anywhere_are_found() -> None:
    text = '{"default": {"use_rslora": true, "lora_alpha": 12, "alpha_pattern": {"w1": 3}}}'
    settings = read_settings({"peft_config": text})
    assert settings.rank_stabilized
    assert settings.alpha_of("fused_blocks.0.linear1", default=4) == 12
    assert settings.alpha_of("fused_blocks.0.ffn.w1", default=4) == 3
    assert settings.alpha_of("fused_blocks.0.ffn.raw1", default=4) == 12


def test_a_lora_says_which_variant_it_is_for(tmp_path: Path) -> None:
    """Where shapes cannot tell: these layers are alike in large_44k and large_44k_v2."""
    shapes = {"fused_blocks.0.attn.qkv.weight": (2688, 896)}
    tensors = pair("diffusion_model.fused_blocks.0.attn.qkv", out=2688, width=896)
    metadata = training_metadata(VARIANTS["large_44k"].params, tensors, steps=40, data="12ab")
    assert metadata["mmaudio_variant"] == "large_44k"
    assert metadata["mmaudio_rank"] == str(RANK)
    assert (metadata["mmaudio_steps"], metadata["mmaudio_data"]) == ("40", "12ab")
    save_file(tensors, tmp_path / "told.safetensors", metadata)
    save_file(tensors, tmp_path / "silent.safetensors")
    v2 = VARIANTS["large_44k_v2"].params
    assert load_lora(tmp_path / "told.safetensors", shapes, VARIANTS["large_44k"].params)
    assert load_lora(tmp_path / "silent.safetensors", shapes, v2)
    words = "trained for large_44k, got a model that is large_44k_v2"
    with pytest.raises(CheckpointError, match=words):
        load_lora(tmp_path / "told.safetensors", shapes, v2)


def test_a_file_is_described_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "rain.safetensors"
    tensors = {**pair("final_layer.conv", 20, 7 * 448), "final_layer.conv.alpha": torch.tensor(4.0)}
    tensors = {**pair("joint_blocks.0.latent_block.attn.qkv", 3 * 448, 448), **tensors}
    save_file(tensors, path, metadata={"mmaudio_variant": "small_16k", "mmaudio_steps": "500"})
    assert describe_lora(path) == LoraFacts(
        ranks=(RANK,),
        modules=2,
        values=RANK * (20 + 7 * 448 + 4 * 448) + 1,
        dtypes=("float32",),
        trained_for="small_16k",
        steps=500,
        fits=("small_16k",),
        misfit=None,
    )
    params = VARIANTS["large_44k_v2"].params
    save_file(tensors, path, metadata=training_metadata(params, tensors, 1, ""))
    facts = describe_lora(path)
    assert facts is not None and facts.fits == ()
    assert facts.misfit is not None and "final_layer.conv" in facts.misfit
    save_file({"final_layer.conv.weight": torch.zeros(4, 4)}, path)
    assert describe_lora(path) is None
