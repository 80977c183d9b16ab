"""Weights files: identified by content, loaded strictly, refused with a reason."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mmaudio_core.checkpoint import MODEL_PARTS, Part, PartKind, identify, load_part, verify_part
from mmaudio_core.checkpoint.weight_norm import fold_weight_norm
from mmaudio_core.errors import CheckpointError
from mmaudio_core.models.bigvgan import BigVGANParams
from mmaudio_core.models.clip import CLIPParams
from mmaudio_core.models.flow import FlowParams
from tests.core.small import save_torch, to, write_header_only
from tests.golden_files import golden, relative_error, tiny_weights
from tests.parity.build import build

State = dict[str, Tensor]
NAMES = {
    PartKind.FLOW: "dit_small_16k",
    PartKind.VAE: "vae_16k",
    PartKind.VOCODER: "bigvgan_16k",
    PartKind.CLIP: "clip",
    PartKind.SYNCHFORMER: "synchformer",
}


def one(path: Path) -> Part:
    (part,) = identify(path)
    return part


def assert_same(got: nn.Module, expected: nn.Module) -> None:
    ours, theirs = got.state_dict(), expected.state_dict()
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key


def refused(path: Path, *pieces: str) -> None:
    """Identifying ``path`` fails with a message that contains the file's name and every piece."""
    with pytest.raises(CheckpointError) as error:
        identify(path)
    for piece in (path.name, *pieces):
        assert piece in str(error.value), str(error.value)


@pytest.mark.parametrize("kind", MODEL_PARTS)
def test_every_kind_is_recognised_and_loaded(kind: PartKind, tmp_path: Path):
    state = tiny_weights(NAMES[kind])
    save_file(state, tmp_path / "x.safetensors")
    part = one(tmp_path / "x.safetensors")
    assert part.kind is kind
    assert part.dtype == torch.float32
    assert part.synthetic is None
    verify_part(part)
    network = load_part(part)
    assert_same(network, build(kind, state))
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


SAVE: dict[str, Callable[[State, Path], object]] = {
    "safetensors": save_file,
    "zip": lambda state, path: save_torch(path, state),
    "old pickle": lambda state, path: save_torch(path, state, old=True),
}


@pytest.mark.parametrize("ending", [".safetensors", ".pth", ".pt", ".bin", ".gguf", ""])
@pytest.mark.parametrize("how", SAVE)
def test_the_name_s_ending_does_not_matter(how: str, ending: str, tmp_path: Path):
    path = tmp_path / f"weights{ending}"
    state = tiny_weights("vae_44k")
    SAVE[how](state, path)
    assert_same(load_part(one(path)), build(PartKind.VAE, state))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("how", SAVE)
def test_every_precision(how: str, dtype: torch.dtype, tmp_path: Path):
    path = tmp_path / "weights"
    SAVE[how](to(tiny_weights("dit_large_44k_v2"), dtype), path)
    part = one(path)
    assert part.dtype == dtype
    assert {p.dtype for p in load_part(part).parameters()} == {dtype}
    assert {p.dtype for p in load_part(part, dtype=torch.float32).parameters()} == {torch.float32}


def test_the_most_common_precision_is_the_part_s(tmp_path: Path):
    state = to(tiny_weights("vae_16k"), torch.float16)
    for key in sorted(state)[:3]:
        state[key] = state[key].float()
    save_file(state, tmp_path / "w.safetensors")
    assert one(tmp_path / "w.safetensors").dtype == torch.float16


@pytest.mark.parametrize("nest", ["generator", "state_dict", "model", "ema.model"])
@pytest.mark.parametrize("kind", [PartKind.FLOW, PartKind.VOCODER, PartKind.SYNCHFORMER])
def test_nested(kind: PartKind, nest: str, tmp_path: Path):
    state = tiny_weights(NAMES[kind])
    nested: object = state
    for name in reversed(nest.split(".")):
        nested = {name: nested, "epoch": 3}
    assert isinstance(nested, dict)
    path = save_torch(tmp_path / "w.pt", nested)
    assert_same(load_part(one(path)), build(kind, state))
    flat = tmp_path / "flat.safetensors"
    save_file({f"{nest}.{key}": value for key, value in state.items()}, flat)
    assert_same(load_part(one(flat)), build(kind, state))


def test_the_outermost_of_two_copies_is_loaded(tmp_path: Path):
    state = tiny_weights("vae_16k")
    copies = {f"a.ema.{key}": torch.zeros_like(value) for key, value in state.items()}
    path = tmp_path / "w.safetensors"
    save_file({**copies, **{f"b.{key}": value for key, value in state.items()}}, path)
    assert_same(load_part(one(path)), build(PartKind.VAE, state))


def test_weight_norm_in_both_spellings_and_folded(tmp_path: Path):
    state = tiny_weights("bigvgan_44k")
    old = {
        key.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for key, value in state.items()
    }
    assert sum(key.endswith("weight_g") for key in old) > 100
    tensors, _ = golden("tiny_bigvgan_44k")
    for number, spelling in enumerate((state, old, fold_weight_norm(state))):
        path = tmp_path / f"{number}.safetensors"
        save_file({key: value.contiguous() for key, value in spelling.items()}, path)
        part = one(path)
        assert isinstance(part.params, BigVGANParams)
        assert part.params.hop == 512
        assert relative_error(load_part(part)(tensors["mel"]), tensors["audio"]) < 1e-4


def test_activations_of_a_vocoder_stay_float32_in_any_precision(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    save_file(tiny_weights("bigvgan_16k"), path)
    state = load_part(one(path), dtype=torch.bfloat16).state_dict()
    kept = {key.rsplit(".", 1)[-1] for key, value in state.items() if value.dtype == torch.float32}
    assert kept == {"filter", "alpha", "beta"}


def test_weight_norm_is_over_all_dimensions_but_the_first():
    g, v = torch.tensor([[[2.0]], [[3.0]]]), torch.randn(2, 4, 5)
    folded = fold_weight_norm({"up.weight_g": g, "up.weight_v": v, "up.bias": torch.ones(2)})
    assert set(folded) == {"up.weight", "up.bias"}
    assert torch.allclose(folded["up.weight"].flatten(1).norm(dim=1), torch.tensor([2.0, 3.0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_vae_and_vocoder_merged(dtype: torch.dtype, tmp_path: Path):
    vae, vocoder = tiny_weights("vae_16k"), tiny_weights("bigvgan_16k")
    merged = {f"vae.{key}": value for key, value in vae.items()}
    merged |= {f"vocoder.vocoder.{key}": value for key, value in vocoder.items()}
    path = tmp_path / "audio_vae.safetensors"
    save_file(to(merged, dtype), path)
    first, second = identify(path)
    assert (first.kind, second.kind) == (PartKind.VAE, PartKind.VOCODER)
    if dtype == torch.float32:
        assert_same(load_part(first), build(PartKind.VAE, vae))
        assert_same(load_part(second), build(PartKind.VOCODER, vocoder))
    tensors, _ = golden("tiny_vae_16k")
    vae_network = load_part(first, dtype=torch.float32)
    assert relative_error(vae_network.decode(tensors["z"]), tensors["mel"]) < 0.05  # pyright: ignore


@pytest.mark.parametrize("shape", [(), (1,)])
def test_tensors_that_are_not_used_are_dropped(shape: tuple[int, ...], tmp_path: Path):
    flow = tiny_weights("dit_small_16k")
    extra = {
        "t_embed.freqs": torch.ones(128),
        "latent_rot": torch.ones(1, 250, 32, 2, 2),
        "clip_rot": torch.ones(1, 64, 32, 2, 2),
    }
    path = save_torch(tmp_path / "older.pth", {**flow, **extra})
    assert_same(load_part(one(path)), build(PartKind.FLOW, flow))
    clip = tiny_weights("clip")
    path = save_torch(tmp_path / "clip.bin", {**clip, "logit_scale": torch.ones(shape)})
    assert_same(load_part(one(path)), build(PartKind.CLIP, clip))


def test_synchformer_s_other_branches_are_left_out(tmp_path: Path):
    state = tiny_weights("synchformer")
    rest = {
        "afeat_extractor.ast.embeddings.cls_token": torch.zeros(1, 1, 8),
        "vproj.weight": torch.zeros(8, 8),
        "aproj.weight": torch.zeros(8, 8),
        "transformer.OFF_tok": torch.zeros(1, 1, 8),
    }
    path = save_torch(tmp_path / "sync.pth", {**rest, **state})
    assert_same(load_part(one(path)), build(PartKind.SYNCHFORMER, state))


def full_synchformer(folder: Path, **changed: Tensor) -> Path:
    """What the authors publish: both branches and the head."""
    path = folder / "synchformer.pth"
    return save_torch(path, tiny_weights("synchformer") | tiny_weights("sync_head") | changed)


def test_synchformer_s_file_holds_two_networks(tmp_path: Path):
    visual, head = identify(full_synchformer(tmp_path))
    assert_same(load_part(visual), build(PartKind.SYNCHFORMER, tiny_weights("synchformer")))
    assert_same(load_part(head), build(PartKind.SYNC_HEAD, tiny_weights("sync_head")))
    assert not set(visual.keys.values()) & set(head.keys.values())  # nothing is read twice


def test_a_fault_of_the_head_is_no_fault_of_the_visual_branch(tmp_path: Path):
    unknown = {"transformer.surprise": torch.zeros(3), "aproj.bias": torch.zeros(7)}
    visual, head = identify(full_synchformer(tmp_path, **unknown))
    load_part(visual)
    with pytest.raises(CheckpointError) as error:
        load_part(head)
    message = str(error.value)
    assert "looks like Synchformer's synchronisation head (width 128)" in message
    assert "transformer.surprise is unknown" in message
    assert "aproj.bias has shape (7,), expected (128,)" in message

    shorter = {"transformer.pos_emb_cfg.pos_emb": torch.zeros(1, 100, 128)}
    (visual,) = identify(full_synchformer(tmp_path, **shorter))
    assert visual.kind is PartKind.SYNCHFORMER


def test_a_file_of_the_head_alone_is_not_used(tmp_path: Path):
    path = save_torch(tmp_path / "head.pth", tiny_weights("sync_head"))
    refused(path, "looks like Synchformer's audio branch alone")


def test_only_the_header_is_read(tmp_path: Path):
    path = write_header_only(tmp_path / "large.safetensors", "dit_large_44k_v2")
    before = path.stat().st_blocks * 512
    part = one(path)
    verify_part(part)
    assert path.stat().st_size > 4e9
    assert before < 1e6  # a hole of 4 GB: reading it all would take seconds and 4 GB
    assert isinstance(part.params, FlowParams)
    assert part.params.width == 896
    assert part.params.v2


@pytest.mark.parametrize(
    ("content", "pieces"),
    [
        (b"", ("is empty (0 bytes)",)),
        (
            b"<!DOCTYPE html><html><body>Sign in</body></html>",
            ("a web page", "expected a .safetensors, .pth, .pt, .bin or .ckpt file"),
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4122302432\n",
            ("a Git LFS pointer", "git lfs pull", "expected a"),
        ),
        (b"GGUF\x03\x00\x00\x00" + bytes(64), ("a GGUF file", "expected a")),
        (bytes(range(1, 200)), ("something else", "expected a")),
        (struct.pack("<Q", 40) + b"{" + bytes(60), ("damaged", "expected a")),
        (b"PK\x03\x04" + bytes(500), ("is incomplete (504 bytes)", "expected a")),
        (b"\x80\x02" + bytes(40), ("damaged", "publisher")),
    ],
    ids=["empty", "html", "lfs", "gguf", "other", "broken header", "zip", "pickle"],
)
def test_not_a_weights_file(content: bytes, pieces: tuple[str, ...], tmp_path: Path):
    path = tmp_path / "mmaudio.safetensors"
    path.write_bytes(content)
    refused(path, *pieces)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("how", SAVE)
def test_an_incomplete_download(how: str, share: float, tmp_path: Path):
    path = tmp_path / "w.pth"
    SAVE[how](tiny_weights("vae_16k"), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError) as error:
        identify(path)
    assert "w.pth" in str(error.value)
    assert "incomplete" in str(error.value) or "damaged" in str(error.value)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (os.fspath(self.path),)


@pytest.mark.parametrize("old", [False, True])
def test_a_pickle_with_code_is_refused_and_not_run(old: bool, tmp_path: Path):
    made = tmp_path / "made"
    path = tmp_path / "w.pth"
    torch.save(
        {**tiny_weights("vae_16k"), "x": Bomb(made)}, path, _use_new_zipfile_serialization=not old
    )
    refused(path, "more than tensors", "could run code", "safetensors")
    assert not made.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_bare_pickle_is_refused(tmp_path: Path):
    path = tmp_path / "w.pt"
    path.write_bytes(pickle.dumps({"a": Bomb(tmp_path / "made")}))
    refused(path, "publisher")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("keys", "looks"),
    [
        (["model.diffusion_model.input_blocks.0.0.weight"], "a Stable Diffusion checkpoint"),
        (["text_model.encoder.layers.0.layer_norm1.weight"], "a CLIP text model"),
        (["transformer.resblocks.0.ln_1.weight", "text_projection"], "a CLIP text model"),
        (["unet.lora_down.weight"], "a LoRA"),
        (["double_blocks.0.img_attn.qkv.weight"], "a Flux or HunyuanVideo"),
        (["something.weight"], "a checkpoint of another model (1 tensors: something.weight"),
    ],
)
def test_another_model_is_named(keys: list[str], looks: str, tmp_path: Path):
    path = tmp_path / "mmaudio_vae.safetensors"
    save_file({key: torch.zeros(2, 2) for key in keys}, path)
    refused(path, looks, "expected an MMAudio flow network, VAE, vocoder, CLIP")


def test_a_file_without_tensors(tmp_path: Path):
    refused(save_torch(tmp_path / "w.pt", {"epoch": 3}), "without tensors")


def test_a_clip_of_another_size_says_so(tmp_path: Path):
    state = tiny_weights("clip")
    state["visual.positional_embedding"] = torch.zeros(257, 160)
    path = tmp_path / "vit_l.safetensors"
    save_file(state, path)
    refused(path, "expected (730, 160) in a CLIP", "expected an MMAudio")


def test_a_missing_key_is_named(tmp_path: Path):
    state = tiny_weights("synchformer")
    del state["vfeat_extractor.blocks.0.norm1.weight"]
    path = tmp_path / "sync.safetensors"
    save_file(state, path)
    for check in (verify_part, load_part):
        with pytest.raises(CheckpointError) as error:
            check(one(path))
        message = str(error.value)
        assert "sync.safetensors looks like a Synchformer" in message
        assert "vfeat_extractor.blocks.0.norm1.weight is missing" in message


def test_unknown_keys_and_other_shapes_are_refused(tmp_path: Path):
    state = tiny_weights("dit_small_16k")
    state["fused_blocks.0.surprise"] = torch.zeros(3)
    state["latent_rotation"] = torch.zeros(3)  # only begins like a key that is ignored
    state["clip_cond_proj.bias"] = torch.zeros(7)
    path = tmp_path / "flow.safetensors"
    save_file(state, path)
    with pytest.raises(CheckpointError) as error:
        load_part(one(path))
    message = str(error.value)
    assert "looks like a v1 flow network (width 128, 2+2 blocks, 20 latent channels)" in message
    assert "fused_blocks.0.surprise is unknown" in message
    assert "latent_rotation is unknown" in message
    assert "clip_cond_proj.bias has shape (7,), expected (128,)" in message


def test_half_of_a_weight_norm_pair_is_refused(tmp_path: Path):
    state = tiny_weights("bigvgan_16k")
    del state["conv_post.parametrizations.weight.original0"]
    path = tmp_path / "voc.safetensors"
    save_file(state, path)
    with pytest.raises(CheckpointError, match=r"conv_post.*original0 is missing"):
        load_part(one(path))


def test_a_weight_norm_pair_that_does_not_fit_is_refused(tmp_path: Path):
    state = tiny_weights("bigvgan_16k")
    state["conv_post.parametrizations.weight.original0"] = torch.ones(1, 3, 1)
    path = tmp_path / "voc.safetensors"
    save_file(state, path)
    with pytest.raises(
        CheckpointError, match=r"conv_post.*original0 has shape \(1, 3, 1\), expected \(1, 1, 1\)"
    ):
        load_part(one(path))


def test_no_such_file(tmp_path: Path):
    refused(tmp_path / "gone.pth", "cannot be read (No such file")


def test_gzip_is_no_weights_file(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(gzip.compress(b"weights"))
    refused(path, "expected a")


def test_descriptions_of_parts(tmp_path: Path):
    phrases = {
        "dit_large_44k_v2": "a v2 flow network (width 128, 2+2 blocks, 40 latent channels)",
        "vae_44k": "a VAE (40 latent channels, 128 mel bands)",
        "bigvgan_16k": "a BigVGAN vocoder (80 mel bands, 256 samples per frame)",
        "clip": "a CLIP model (embedding width 64, text width 128)",
        "synchformer": "a Synchformer (width 128)",
    }
    for name, phrase in phrases.items():
        path = tmp_path / f"{name}.safetensors"
        save_file(tiny_weights(name), path)
        part = one(path)
        assert part.looks_like == phrase
        if name == "clip":
            assert isinstance(part.params, CLIPParams)
