"""Finding the files that belong together, and the errors about missing or wrong ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmaudio_core.checkpoint import (
    MODEL_PARTS,
    VARIANTS,
    Catalog,
    MissingPartsError,
    NoSyncHeadError,
    Part,
    PartKind,
    identify,
)
from mmaudio_core.checkpoint.catalog import misfit, variant_of
from mmaudio_core.checkpoint.identify import SYNTHETIC_KEY
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from mmaudio_core.errors import CheckpointError, Problem
from tests.core.small import to, write_header_only
from tests.golden_files import tiny_weights
from tests.parity.build import tiny_bundle


def catalog(folder: Path) -> Catalog:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return Catalog([(path.relative_to(folder).as_posix(), path) for path in files])


def tiny(folder: Path, *names: str) -> None:
    for name in names:
        save_file(tiny_weights(name), folder / f"{name}.safetensors")


def test_the_variants_are_the_published_five():
    assert list(VARIANTS) == ["small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2"]
    widths = {
        name: (v.params.latent_dim, v.width, v.joint_depth, v.fused_depth, v.v2)
        for name, v in VARIANTS.items()
    }
    assert widths == {
        "small_16k": (20, 448, 4, 8, False),
        "small_44k": (40, 448, 4, 8, False),
        "medium_44k": (40, 896, 4, 8, False),
        "large_44k": (40, 896, 7, 14, False),
        "large_44k_v2": (40, 896, 7, 14, True),
    }


@pytest.mark.parametrize("variant", ["small_16k", "large_44k_v2"])
def test_a_set_is_found_whatever_the_files_are_called(variant: str, tmp_path: Path):
    bundle = tiny_bundle(tmp_path, variant)
    assert [part.kind for part in bundle.parts.values()] == list(MODEL_PARTS)
    assert bundle.params.latent_dim == (20 if variant == "small_16k" else 40)
    assert not bundle.synthetic
    assert all(misfit(bundle.params, p.params) is None for p in list(bundle.parts.values())[1:])


def test_parts_are_chosen_to_fit(tmp_path: Path):
    tiny(tmp_path, "dit_small_16k", "dit_small_44k", "vae_16k", "vae_44k", "clip", "synchformer")
    tiny(tmp_path, "bigvgan_16k", "bigvgan_44k")
    for rate, latents in (("16k", 20), ("44k", 40)):
        bundle = catalog(tmp_path).bundle(f"dit_small_{rate}.safetensors", dtype=torch.float32)
        assert bundle.params.latent_dim == latents
        assert bundle.vae.path.name == f"vae_{rate}.safetensors"
        assert bundle.vocoder.path.name == f"bigvgan_{rate}.safetensors"


def test_of_several_that_fit_the_precision_then_the_path_decides(tmp_path: Path):
    tiny(tmp_path, "dit_small_16k", "bigvgan_16k", "clip", "synchformer")
    vae = tiny_weights("vae_16k")
    for name, dtype in (("a", torch.float32), ("b", torch.float16), ("c", torch.float16)):
        save_file(to(vae, dtype), tmp_path / f"vae_{name}.safetensors")
    found = catalog(tmp_path)
    for dtype, name in ((torch.float32, "a"), (torch.float16, "b"), (torch.bfloat16, "a")):
        bundle = found.bundle("dit_small_16k.safetensors", dtype=dtype)
        assert bundle.vae.path.name == f"vae_{name}.safetensors"
    chosen = found.bundle(
        "dit_small_16k.safetensors",
        dtype=torch.float32,
        chosen={PartKind.VAE: "vae_c.safetensors"},
    )
    assert chosen.vae.path.name == "vae_c.safetensors"


def synchformers(folder: Path, *, with_head: dict[str, torch.dtype], without: str = "") -> None:
    state = tiny_weights("synchformer")
    for name, dtype in with_head.items():
        save_file(to(state | tiny_weights("sync_head"), dtype), folder / f"{name}.safetensors")
    if without:
        save_file(state, folder / f"{without}.safetensors")


def head_of(folder: Path, **keywords: Any) -> Part:
    """The synchronisation head that a small model is given."""
    tiny(folder, "dit_small_16k", "vae_16k", "bigvgan_16k", "clip")
    bundle = catalog(folder).bundle("dit_small_16k.safetensors", **keywords)
    return bundle.part(PartKind.SYNC_HEAD)


def test_the_head_comes_from_synchformer_s_own_file(tmp_path: Path):
    synchformers(tmp_path, with_head={"a": torch.float32, "b": torch.float16})
    for dtype, name in ((torch.float32, "a"), (torch.float16, "b")):
        part = head_of(tmp_path, dtype=dtype)
        assert (part.kind, part.path.stem) == (PartKind.SYNC_HEAD, name)
        assert part.looks_like == "Synchformer's synchronisation head (width 128)"
    chosen = {PartKind.SYNCHFORMER: "b.safetensors"}
    assert head_of(tmp_path, dtype=torch.float32, chosen=chosen).path.stem == "b"


def test_a_synchformer_without_head_takes_that_of_another_copy(tmp_path: Path):
    synchformers(tmp_path, with_head={"b": torch.float16}, without="a")
    bundle = {PartKind.SYNCHFORMER: "a.safetensors"}
    assert head_of(tmp_path, dtype=torch.float32, chosen=bundle).path.stem == "b"


def test_a_model_without_any_head_works_but_says_so(tmp_path: Path):
    synchformers(tmp_path, with_head={}, without="kijai")
    with pytest.raises(NoSyncHeadError) as error:
        head_of(tmp_path, dtype=torch.float32)
    assert str(error.value) == (
        "this Synchformer file holds no synchronisation head (kijai.safetensors); "
        "synchformer_state_dict.pth, which the authors published, does"
    )


def test_a_head_that_does_not_fit_is_left_out(tmp_path: Path):
    """One of another width, and a synthetic one for real weights."""
    write_synthetic_bundle(tmp_path / "synthetic", variant="small_16k")
    synchformers(tmp_path, with_head={}, without="a")
    with pytest.raises(NoSyncHeadError):
        head_of(tmp_path, dtype=torch.float32)
    of_synthetic = catalog(tmp_path / "synthetic").bundle("small_16k", dtype=torch.float32)
    path = of_synthetic.part(PartKind.SYNC_HEAD).path
    state = load_file(path)
    save_file(state, path)  # no longer marked as synthetic, but 64 wide
    with pytest.raises(NoSyncHeadError):
        head_of(tmp_path, dtype=torch.float32)


def test_a_merged_file_serves_as_both(tmp_path: Path):
    tiny(tmp_path, "dit_small_16k", "clip", "synchformer")
    merged = {f"vae.{key}": value for key, value in tiny_weights("vae_16k").items()}
    merged |= {f"vocoder.vocoder.{k}": v for k, v in tiny_weights("bigvgan_16k").items()}
    save_file(merged, tmp_path / "both.safetensors")
    bundle = catalog(tmp_path).bundle("dit_small_16k.safetensors", dtype=torch.float32)
    assert bundle.vae.path == bundle.vocoder.path == tmp_path / "both.safetensors"


def test_everything_that_is_missing_is_one_error(tmp_path: Path):
    with pytest.raises(MissingPartsError) as error:
        catalog(tmp_path).bundle("large_44k_v2", dtype=torch.float32)
    message = str(error.value)
    assert message.startswith("large_44k_v2: no file found for its flow network, VAE, vocoder, ")
    assert len(error.value.files) == 5
    for file in error.value.files:
        assert file.url() in message
        assert file.size in message
        assert file.license in message
    assert "not for commercial use" in message
    assert error.value.problem is Problem.MISSING_WEIGHTS


def test_a_v1_file_in_the_place_of_a_v2_one_is_named(tmp_path: Path):
    tiny(tmp_path, "vae_44k", "bigvgan_44k", "clip", "synchformer")
    save_file(tiny_weights("dit_small_44k"), tmp_path / "mmaudio_large_44k_v2.safetensors")
    with pytest.raises(MissingPartsError) as error:
        catalog(tmp_path).bundle("large_44k_v2", dtype=torch.float32)
    message = str(error.value)
    assert "mmaudio_large_44k_v2.safetensors looks like a v1 flow network (width 128" in message
    assert "mmaudio_large_44k_v2.pth" in message  # the file to get instead


def test_files_that_cannot_be_used_are_mentioned(tmp_path: Path):
    tiny(tmp_path, "dit_small_16k", "vae_16k", "bigvgan_16k", "clip")
    (tmp_path / "synchformer.pth").write_bytes(b"<html>")
    with pytest.raises(MissingPartsError) as error:
        catalog(tmp_path).bundle("dit_small_16k.safetensors", dtype=torch.float32)
    message = str(error.value)
    assert "no file found for its Synchformer" in message
    assert "synchformer.pth is not a weights file but a web page" in message
    assert "It matches no published variant" in message
    assert error.value.files == ()


@pytest.mark.parametrize(
    ("kind", "name", "pieces"),
    [
        (
            PartKind.VAE,
            "vae_44k.safetensors",
            ("vae_44k.safetensors does not fit", "latent channels 40, expected 20"),
        ),
        (
            PartKind.VOCODER,
            "bigvgan_44k.safetensors",
            ("mel bands 128, expected 80", "samples per frame 512, expected 256"),
        ),
        (
            PartKind.VAE,
            "clip.safetensors",
            ("clip.safetensors looks like a CLIP model", "expected a VAE"),
        ),
        (
            PartKind.CLIP,
            "dit_large_44k_v2.safetensors",
            ("looks like a v2 flow network", "expected a CLIP model"),
        ),
        (
            PartKind.VAE,
            "page.pt",
            ("page.pt is not a weights file but a web page", "expected a VAE"),
        ),
        (
            PartKind.VAE,
            "gone.pt",
            ("there is no file gone.pt", "expected a VAE", "vae_16k.safetensors"),
        ),
    ],
)
def test_a_wrong_choice_is_refused(
    kind: PartKind, name: str, pieces: tuple[str, ...], tmp_path: Path
):
    tiny(tmp_path, "dit_small_16k", "dit_large_44k_v2", "vae_16k", "vae_44k", "bigvgan_16k")
    tiny(tmp_path, "bigvgan_44k", "clip", "synchformer")
    (tmp_path / "page.pt").write_bytes(b"<html>")
    with pytest.raises(CheckpointError) as error:
        catalog(tmp_path).bundle(
            "dit_small_16k.safetensors", dtype=torch.float32, chosen={kind: name}
        )
    for piece in pieces:
        assert piece in str(error.value), str(error.value)
    assert error.value.problem is Problem.WRONG_PART


def test_a_model_that_is_not_a_flow_network_is_refused(tmp_path: Path):
    tiny(tmp_path, "vae_16k")
    with pytest.raises(CheckpointError, match=r"looks like a VAE .*expected a flow network"):
        catalog(tmp_path).bundle("vae_16k.safetensors", dtype=torch.float32)


def test_a_clip_of_another_width_does_not_fit():
    flow = VARIANTS["large_44k_v2"].params
    assert misfit(replace(flow, clip_dim=512), _clip(1024)) == "embedding width 1024, expected 512"
    assert misfit(flow, _clip(1024)) is None
    assert misfit(flow, flow) is not None


def _clip(embed: int):
    from mmaudio_core.models.clip import CLIPParams

    return CLIPParams(
        image_size=384,
        patch_size=14,
        vision_width=1280,
        vision_layers=32,
        vision_heads=16,
        text_width=1024,
        text_layers=24,
        text_heads=16,
        context_length=77,
        vocab_size=49408,
        embed_dim=embed,
    )


def test_synthetic_and_real_weights_are_not_mixed(tmp_path: Path):
    write_synthetic_bundle(tmp_path / "synthetic", variant="small_16k")
    found = catalog(tmp_path)
    bundle = found.bundle("small_16k", dtype=torch.float32)
    assert bundle.synthetic
    assert variant_of(bundle.flow) == "small_16k"
    tiny(tmp_path, "dit_small_16k", "vae_16k", "bigvgan_16k", "clip")
    with pytest.raises(MissingPartsError, match=r"its Synchformer(.|\n)*\(synthetic weights\)"):
        catalog(tmp_path).bundle("dit_small_16k.safetensors", dtype=torch.float32)


def test_synthetic_weights_of_the_right_shape_do_not_complete_real_ones(tmp_path: Path):
    tiny(tmp_path, "dit_small_16k", "bigvgan_16k", "clip", "synchformer")
    vae = tiny_weights("vae_16k")
    save_file(vae, tmp_path / "vae.safetensors", metadata={SYNTHETIC_KEY: "small_16k"})
    with pytest.raises(MissingPartsError, match="its VAE"):
        catalog(tmp_path).bundle("dit_small_16k.safetensors", dtype=torch.float32)


def test_a_real_flow_network_is_preferred_to_a_synthetic_one(tmp_path: Path):
    write_synthetic_bundle(tmp_path, variant="small_16k")
    write_header_only(tmp_path / "zz.safetensors", "dit_small_16k")
    with pytest.raises(MissingPartsError, match="its VAE, vocoder, CLIP model, Synchformer"):
        catalog(tmp_path).bundle("small_16k", dtype=torch.float32)


def test_names_by_kind(tmp_path: Path):
    (tmp_path / "sub").mkdir()
    tiny(tmp_path / "sub", "vae_16k")
    tiny(tmp_path, "dit_small_16k")
    found = catalog(tmp_path)
    assert found.names(PartKind.VAE) == ["sub/vae_16k.safetensors"]
    assert found.names(PartKind.FLOW) == ["dit_small_16k.safetensors"]
    assert found.names(PartKind.CLIP) == []
    assert variant_of(identify(tmp_path / "dit_small_16k.safetensors")[0]) is None
