"""For the cases: a tiny MODEL with seeded weights, features for it, and short runs.

Imported inside ComfyUI only, as ``tiny``.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from mmaudio_pack.mmaudio_core.checkpoint import Catalog
from mmaudio_pack.mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from mmaudio_pack.mmaudio_core.config import sequence_lengths
from mmaudio_pack.mmaudio_core.features.types import Features
from mmaudio_pack.mmaudio_core.models.flow import FlowParams
from mmaudio_pack.nodes import comfy_sampling as sampling
from mmaudio_pack.nodes import conditioning, latents
from mmaudio_pack.nodes.model_manager import ComfyModels
from torch import Tensor

CORE_NODES: Any = importlib.import_module("nodes")  # ComfyUI's, such as KSampler
SECONDS = Fraction(2)
SMALL, LARGE = "small_16k", "large_44k_v2"


@lru_cache
def networks(variant: str = SMALL, precision: str = "fp32") -> ComfyModels:
    """All five networks of a small synthetic model."""
    folder = Path("synthetics") / variant
    if not folder.exists():
        write_synthetic_bundle(folder, variant=variant)
    catalog = Catalog([(f.name, f) for f in folder.iterdir()])
    flow = next(f.name for f in folder.iterdir() if f.name.endswith("_flow.safetensors"))
    return ComfyModels(catalog.bundle(flow, dtype=torch.float32), precision)


def features(params: FlowParams, duration: Fraction = SECONDS, seed: int = 0) -> Features:
    """Random features of the right widths."""
    lengths = sequence_lengths(duration, params.audio)
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(1, *shape, generator=draw)

    return Features(
        duration=duration,
        clip=torch.nn.functional.normalize(normal(lengths.clip, params.clip_dim), dim=-1),
        sync=normal(lengths.sync, params.sync_dim),
        text=normal(77, params.text_dim),
        negative=normal(77, params.text_dim),
    )


def sample(
    model: Any,
    of: Features,
    *,
    seeds: Sequence[int] = (1,),
    steps: int = 4,
    cfg: float = 4.5,
    latent: latents.Latent | None = None,
    **others: Any,
) -> Tensor:
    """Latents (takes, 1, N, C) of a MODEL, Euler on the linear schedule unless told otherwise."""
    params = model.model.diffusion_model.params
    positive, negative = conditioning.to_conditioning(of)
    keywords: dict[str, Any] = {
        "denoise": 1.0,
        "sampler_name": "euler",
        "scheduler": sampling.LINEAR,
        "progress": lambda *_: None,
    }
    latent = latent or latents.empty_latent(of.duration, params.audio)
    return sampling.sample(
        model, positive, negative, latent, seeds, steps=steps, cfg=cfg, **(keywords | others)
    )


def relative_error(got: Tensor, expected: Tensor) -> float:
    assert got.shape == expected.shape, (got.shape, expected.shape)
    return ((got.double() - expected.double()).norm() / expected.double().norm()).item()
