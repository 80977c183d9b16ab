"""Weights files of the published sizes and layouts, filled from a seed: the real ones are not here.

They are named and nested as published, so that both sides load the very same files their own way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mmaudio_core.checkpoint import VARIANTS, PartKind
from tests.golden_files import tiny_weights
from tests.parity.build import full_weights, manifest_name

TINY = "tiny"
CHOICES = (*VARIANTS, TINY)
_TINY_STANDS_FOR = "small_44k"

# Where kijai's nodes look for the 44.1 kHz vocoder, under the folder of models.
NVIDIA = Path("nvidia") / "bigvgan_v2_44khz_128band_512x"


def published_name(variant: str) -> str:
    """The variant whose shape of job this one has."""
    return _TINY_STANDS_FOR if variant == TINY else variant


def file_of(kind: PartKind, variant: str) -> Path:
    """A part's file, relative to the folder of weights, named as published."""
    published = published_name(variant)
    rate = published.split("_")[1].removesuffix("k")
    if kind is PartKind.FLOW:
        return Path(f"mmaudio_{variant}.pth")
    if kind is PartKind.VOCODER and rate == "44":
        return _tiny_apart(NVIDIA, variant) / "bigvgan_generator.pt"
    names = {
        PartKind.VAE: f"v1-{rate}.pth",
        PartKind.VOCODER: "best_netG.pt",
        PartKind.CLIP: "open_clip_pytorch_model.bin",
        PartKind.SYNCHFORMER: "synchformer_state_dict.pth",
    }
    return _tiny_apart(Path(names[kind]), variant)


def make(folder: Path, variant: str) -> dict[PartKind, Path]:
    """Write what is not there yet; the five files."""
    files: dict[PartKind, Path] = {}
    for kind in PartKind:
        path = folder / file_of(kind, variant)
        files[kind] = path
        if path.exists():
            continue
        print(f"making seeded weights: {path} ...", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        state = _state(kind, variant)
        partial = path.with_suffix(".partial")
        torch.save({"generator": state} if kind is PartKind.VOCODER else state, partial)
        partial.rename(path)
        if kind is PartKind.VOCODER and path.name == "bigvgan_generator.pt":
            config = json.dumps(vocoder_config(), indent=2)
            (path.parent / "config.json").write_text(config, encoding="utf-8")
    return files


def vocoder_config() -> Mapping[str, object]:
    """The hyperparameters of the published 44.1 kHz vocoder, as its repository lays them out."""
    return {
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


def _state(kind: PartKind, variant: str) -> dict[str, Tensor]:
    name = manifest_name(kind, published_name(variant))
    return tiny_weights(name) if variant == TINY else full_weights(name)


def _tiny_apart(path: Path, variant: str) -> Path:
    return Path("tiny") / path if variant == TINY else path
