"""Networks from published state dicts in memory, and whole models from tiny ones in files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mmaudio_core.checkpoint import Bundle, Catalog, PartKind
from mmaudio_core.checkpoint.layouts import LAYOUTS
from mmaudio_core.checkpoint.synthetic import seeded_state_dict
from tests.golden_files import GOLDEN, tiny_weights


def build(
    kind: PartKind, weights: Mapping[str, Tensor], dtype: torch.dtype = torch.float32
) -> nn.Module:
    """The network that published ``weights`` make."""
    layout = LAYOUTS[kind]
    keys = layout.rename(weights, layout.prefixes(weights)[0])
    state = layout.fold({ours: weights[stored] for ours, stored in keys.items()})
    params = layout.params({key: tuple(weight.shape) for key, weight in state.items()})
    network = layout.network(params, device="meta", dtype=dtype)
    placed = {key: weight.to(layout.dtype_of(key, dtype)) for key, weight in state.items()}
    network.load_state_dict(placed, assign=True)
    return network.eval().requires_grad_(False)


def full_weights(name: str, seed: int = 0) -> dict[str, Tensor]:
    """A state dict of the published size, seeded; up to 4 GB."""
    manifest = json.loads((GOLDEN / "manifests" / f"{name}.json").read_text())
    return seeded_state_dict(manifest, seed)


def manifest_name(kind: PartKind, variant: str) -> str:
    """What the manifest and the golden of a variant's part are called."""
    rate = variant.split("_")[1]
    return {
        PartKind.FLOW: f"dit_{variant}",
        PartKind.VAE: f"vae_{rate}",
        PartKind.VOCODER: f"bigvgan_{rate}",
        PartKind.CLIP: "clip",
        PartKind.SYNCHFORMER: "synchformer",
        PartKind.SYNC_HEAD: "sync_head",
    }[kind]


def tiny_files(variant: str, seed: int = 0) -> dict[PartKind, dict[str, Tensor]]:
    """The tiny state dicts that go with a variant."""
    return {kind: tiny_weights(manifest_name(kind, variant), seed) for kind in PartKind}


def tiny_bundle(folder: Path, variant: str, seed: int = 0) -> Bundle:
    """A tiny model, written to files with names that tell nothing, and found by content."""
    states = tiny_files(variant, seed)
    states[PartKind.SYNCHFORMER] |= states.pop(PartKind.SYNC_HEAD)
    for number, state in enumerate(states.values()):
        save_file(state, folder / f"{number}.safetensors")
    files = [(path.name, path) for path in folder.iterdir()]
    return Catalog(files).bundle("0.safetensors", dtype=torch.float32)
