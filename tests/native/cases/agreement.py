"""Agreement of takes, measured through ComfyUI's MODEL, against the core's network."""

from __future__ import annotations

import importlib
from dataclasses import replace
from fractions import Fraction
from typing import Any

import tiny
import torch
from mmaudio_pack.mmaudio_core.checkpoint import PartKind
from mmaudio_pack.mmaudio_core.features.types import Features
from mmaudio_pack.mmaudio_core.providers import CachedModels
from mmaudio_pack.mmaudio_core.scoring.agreement import score_agreement
from mmaudio_pack.nodes.agreement import agreement_judge

NETWORKS = tiny.networks()
MODEL = NETWORKS.model
FEATURES = tiny.features(NETWORKS.params)
CHANGED = "fused_blocks.0.linear1.weight"


def takes(of: Features, count: int = 2) -> torch.Tensor:
    return tiny.sample(MODEL, of, seeds=range(count), steps=1)[:, 0]


def ours(model: Any, of: Features, latents: torch.Tensor) -> list[float]:
    return agreement_judge(model, of, lambda *_: None)(latents)


def case_equals_the_core() -> dict[str, Any]:
    """Short sound, windows, a schedule of prompts, text alone; and without what is learned."""
    core = CachedModels(bundle=NETWORKS.bundle)
    long = tiny.features(NETWORKS.params, Fraction(12))
    short = replace(FEATURES, clip=None, sync=None)
    scheduled = replace(
        long,
        text=torch.cat([long.text, FEATURES.text.flip(1)]),
        negative=long.negative.expand(2, -1, -1),
        crossfades=((Fraction(4), Fraction(5)),),
    )
    found: dict[str, Any] = {}
    for name, of in {
        "short": FEATURES,
        "long": long,
        "scheduled": scheduled,
        "text": short,
    }.items():
        made = takes(of)
        found[name] = [ours(MODEL, of, made), score_agreement(core, of, made)]
    return found


def case_patches_count() -> list[Any]:
    """A changed weight, as a LoRA changes it, beside the core's network with that change."""
    made = takes(FEATURES)
    weight = MODEL.model.diffusion_model.state_dict()[CHANGED]
    change = torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)) * weight.std()
    patched = MODEL.clone()
    patched.add_patches({f"diffusion_model.{CHANGED}": (change,)}, 1.0)
    core = CachedModels(bundle=NETWORKS.bundle)
    flow = core.acquire(PartKind.FLOW, 0).network
    flow.get_parameter(CHANGED).data += change
    plain, changed = ours(MODEL, FEATURES, made), ours(patched, FEATURES, made)
    return [plain, changed, score_agreement(core, FEATURES, made)]


def case_caches_over_steps_skip_nothing() -> list[Any]:
    node = importlib.import_module("comfy_extras.nodes_easycache").EasyCacheNode
    cached = node.execute(MODEL, 3.0, 0.0, 1.0, False).args[0]
    made = takes(FEATURES)
    return [ours(MODEL, FEATURES, made), ours(cached, FEATURES, made)]


def case_calls() -> list[Any]:
    """Rows of each pass for nine takes, what progress was told, and the first take alone."""
    made, rows, told = takes(FEATURES, 9), [], []
    flow = MODEL.model.diffusion_model
    handle = flow.joint_blocks[0].register_forward_pre_hook(
        lambda _module, args: rows.append(len(args[0].latent))
    )
    try:
        values = agreement_judge(MODEL, FEATURES, lambda *call: told.append(call))(made)
    finally:
        handle.remove()
    return [rows, told[0], told[-1], values[0], ours(MODEL, FEATURES, made[:1])[0]]
