"""Weights files in the published sizes and layouts, filled from a seed.

They are named and nested as published, so that every implementation loads the same files.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from mmaudio_core.checkpoint import MODEL_PARTS, Bundle, Catalog, PartKind
from tests.golden_files import tiny_weights
from tests.parity.build import full_weights, manifest_name

TINY = "tiny"
_TINY_VARIANT = "small_44k"  # whose tiny state dicts TINY uses
BIGVGAN_FOLDER = Path("nvidia") / "bigvgan_v2_44khz_128band_512x"
_BIGVGAN_CONFIG = {
    "resblock": "1",
    "upsample_rates": [8, 4, 2, 2, 2, 2],
    "upsample_kernel_sizes": [16, 8, 4, 4, 4, 4],
    "upsample_initial_channel": 1536,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5]] * 3,
    "use_tanh_at_final": False,
    "use_bias_at_final": False,
    "activation": "snakebeta",
    "snake_logscale": True,
    "num_mels": 128,
    "sampling_rate": 44_100,
}


def weights_file(kind: PartKind, variant: str) -> Path:
    """Path of a part's file in the weights folder, named as published."""
    folder = Path(TINY if variant == TINY else "")
    published = _TINY_VARIANT if variant == TINY else variant
    rate = published.split("_")[1].removesuffix("k")
    return (
        folder
        / {
            PartKind.FLOW: f"mmaudio_{published}.pth",
            PartKind.VAE: f"v1-{rate}.pth",
            PartKind.VOCODER: (
                BIGVGAN_FOLDER / "bigvgan_generator.pt" if rate == "44" else "best_netG.pt"
            ),
            PartKind.CLIP: "open_clip_pytorch_model.bin",
            PartKind.SYNCHFORMER: "synchformer_state_dict.pth",
        }[kind]
    )


def write_weights(folder: Path, variant: str) -> None:
    """Write the files of a variant that do not exist yet."""
    for kind in MODEL_PARTS:
        path = folder / weights_file(kind, variant)
        if path.exists():
            continue
        print(f"writing seeded weights: {path} ...", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        state = _state_dict(kind, variant)
        partial = path.with_suffix(".partial")
        torch.save({"generator": state} if kind is PartKind.VOCODER else state, partial)
        if path.name == "bigvgan_generator.pt":
            config = json.dumps(_BIGVGAN_CONFIG, indent=2)
            (path.parent / "config.json").write_text(config, encoding="utf-8")
        partial.rename(path)


def open_bundle(folder: Path, variant: str) -> Bundle:
    """The files of a variant as our core identifies them."""
    paths = {kind: folder / weights_file(kind, variant) for kind in MODEL_PARTS}
    catalog = Catalog([(path.name, path) for path in paths.values()])
    return catalog.bundle(paths[PartKind.FLOW].name, dtype=torch.float32)


def _state_dict(kind: PartKind, variant: str) -> dict[str, Tensor]:
    if kind is PartKind.SYNCHFORMER:  # the published file holds both
        return _weights(kind, variant) | _weights(PartKind.SYNC_HEAD, variant)
    return _weights(kind, variant)


def _weights(kind: PartKind, variant: str) -> dict[str, Tensor]:
    if variant == TINY:
        return tiny_weights(manifest_name(kind, _TINY_VARIANT))
    return full_weights(manifest_name(kind, variant))
