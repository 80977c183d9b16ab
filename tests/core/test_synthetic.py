"""Synthetic models: published keys and formats, seeded, marked as synthetic."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mmaudio_core.checkpoint import VARIANTS, Catalog, PartKind, load_part
from mmaudio_core.checkpoint.header import read_header
from mmaudio_core.checkpoint.synthetic import seeded_tensor, write_synthetic_bundle
from mmaudio_core.errors import MMAudioError
from tests.golden_files import GOLDEN


def files(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_makes_a_complete_bundle(variant: str, tmp_path: Path):
    write_synthetic_bundle(tmp_path, variant=variant)
    bundle = Catalog(list(files(tmp_path).items())).bundle(variant, dtype=torch.float32)
    assert bundle.synthetic
    assert bundle.params.v2 == VARIANTS[variant].v2
    assert bundle.params.audio == VARIANTS[variant].audio
    for part in bundle.parts.values():
        assert part.synthetic == variant
        load_part(part)
    load_part(bundle.part(PartKind.SYNC_HEAD))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 60e6


def test_a_seed_gives_the_same_files(tmp_path: Path):
    digests: list[dict[str, str]] = []
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_synthetic_bundle(tmp_path / folder, variant="small_16k", seed=seed)
        digests.append(
            {
                name: hashlib.sha256(
                    b"".join(tensor_bytes(path, key) for key in sorted(read_header(path).tensors))
                ).hexdigest()
                for name, path in files(tmp_path / folder).items()
                if name.endswith(".safetensors")
            }
        )
    assert digests[0] == digests[1]
    assert all(digests[0][name] != digests[2][name] for name in digests[0])


def tensor_bytes(path: Path, key: str) -> bytes:
    with safe_open(path, framework="pt") as file:
        return file.get_tensor(key).numpy().tobytes()


def test_tensors_are_those_of_the_goldens():
    z = seeded_tensor("empty_clip_feat", (1, 64))
    assert z[0, :3].tolist() == pytest.approx([-0.0769706, -0.0082816, -0.0274687], abs=1e-6)
    assert not torch.equal(z, seeded_tensor("empty_clip_feat", (1, 64), seed=1))
    assert seeded_tensor("logit_scale", ()).item() == pytest.approx(2.6593, abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "manifests"),
    [
        (PartKind.FLOW, ["dit_large_44k_v2"]),
        (PartKind.VAE, ["vae_44k"]),
        (PartKind.VOCODER, ["bigvgan_44k"]),
        (PartKind.CLIP, ["clip"]),
        (PartKind.SYNCHFORMER, ["synchformer", "sync_head"]),
    ],
)
def test_keys_are_published_ones(kind: PartKind, manifests: list[str], tmp_path: Path):
    write_synthetic_bundle(tmp_path, variant="large_44k_v2")
    (path,) = [p for name, p in files(tmp_path).items() if f"_{kind.value}." in name]
    published = [json.loads((GOLDEN / "manifests" / f"{m}.json").read_text()) for m in manifests]
    keys = set(read_header(path).tensors)
    if kind is PartKind.VOCODER:
        assert all(key.startswith("generator.") for key in keys)
        keys = {key.removeprefix("generator.") for key in keys}
        assert keys == set(*published)
    assert keys <= set().union(*published)
    assert all(keys & set(one) for one in published)


def test_an_unknown_variant_is_refused(tmp_path: Path):
    with pytest.raises(MMAudioError, match=r"'huge', expected one of small_16k, "):
        write_synthetic_bundle(tmp_path, variant="huge")
    assert not list(tmp_path.iterdir())
