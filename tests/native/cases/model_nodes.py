"""What ComfyUI's other nodes for a MODEL do to ours: docs/model-nodes.md is the table of it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import comfy.samplers
import tiny
import torch
from mmaudio_pack.nodes import comfy_sampling as sampling
from torch import Tensor

PARAMS = tiny.networks().params
FEATURES = tiny.features(PARAMS, Fraction(1))
MODEL = tiny.networks().model
STEPS = 3
TIMES = {"start_percent": 0.0, "end_percent": 1.0}
# node -> module of ComfyUI's extras, and inputs that would show an effect
NODES: dict[str, tuple[str, dict[str, Any]]] = {
    "CFGNorm": ("nodes_cfg", {"strength": 1.0}),
    "DifferentialDiffusion": ("nodes_differential_diffusion", {}),
    "EpsilonScaling": ("nodes_eps", {"scaling_factor": 1.1}),
    "FreeU": ("nodes_freelunch", {"b1": 1.1, "b2": 1.2, "s1": 0.9, "s2": 0.2}),
    "FreeU_V2": ("nodes_freelunch", {"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2}),
    "FreSca": ("nodes_fresca", {"scale_low": 1.0, "scale_high": 1.25, "freq_cutoff": 20}),
    "HyperTile": (
        "nodes_hypertile",
        {"tile_size": 256, "swap_size": 2, "max_depth": 0, "scale_depth": False},
    ),
    "Mahiro": ("nodes_mahiro", {}),
    "ModelAttentionBackend": ("nodes_model_advanced", {"attention": "pytorch attention"}),
    "ModelComputeDtype": ("nodes_model_advanced", {"dtype": "bf16"}),
    "ModelNoiseScale": ("nodes_model_advanced", {"noise_scale": 2.0}),
    "ModelSamplingAuraFlow": ("nodes_model_advanced", {"shift": 3.0}),
    "ModelSamplingDiscrete": ("nodes_model_advanced", {"sampling": "v_prediction", "zsnr": False}),
    "ModelSamplingFlux": (
        "nodes_model_advanced",
        {"max_shift": 1.15, "base_shift": 0.5, "width": 1024, "height": 1024},
    ),
    "ModelSamplingSD3": ("nodes_model_advanced", {"shift": 3.0}),
    "PatchModelAddDownscale": (
        "nodes_model_downscale",
        {
            "block_number": 3,
            "downscale_factor": 2.0,
            "downscale_after_skip": True,
            "downscale_method": "bicubic",
            "upscale_method": "bicubic",
            **TIMES,
        },
    ),
    "PerturbedAttentionGuidance": ("nodes_pag", {"scale": 3.0}),
    "RenormCFG": ("nodes_lumina2", {"cfg_trunc": 100.0, "renorm_cfg": 1.0}),
    "ScaleROPE": (
        "nodes_rope",
        {f"{what}_{axis}": 2.0 for what in ("scale", "shift") for axis in "xyt"},
    ),
    "SelfAttentionGuidance": ("nodes_sag", {"scale": 0.5, "blur_sigma": 2.0}),
    "SkipLayerGuidanceSD3": (
        "nodes_sd3",
        {"layers": "0, 1", "scale": 3.0, "start_percent": 0.0, "end_percent": 1.0},
    ),
    "TCFG": ("nodes_tcfg", {}),
    "TemporalScoreRescaling": ("nodes_eps", {"tsr_k": 0.5, "tsr_sigma": 1.0}),
    "TomePatchModel": ("nodes_tomesd", {"ratio": 0.3}),
    "UNetCrossAttentionMultiply": (
        "nodes_attention_multiply",
        {"q": 2.0, "k": 2.0, "v": 2.0, "out": 2.0},
    ),
    "UNetSelfAttentionMultiply": (
        "nodes_attention_multiply",
        {"q": 2.0, "k": 2.0, "v": 2.0, "out": 2.0},
    ),
    "VideoLinearCFGGuidance": ("nodes_video_model", {"min_cfg": 1.0}),
    "VideoTriangleCFGGuidance": ("nodes_video_model", {"min_cfg": 1.0}),
}


def patched(name: str, module: str, inputs: dict[str, Any]) -> Any:
    """The MODEL that a node makes of ours; None where this version lacks the node."""
    try:
        found = importlib.import_module(f"comfy_extras.{module}")
    except ModuleNotFoundError:
        return None
    node = getattr(found, name, None)
    if node is None:
        return None
    run: Callable[..., Any] = getattr(node, "execute", None) or getattr(node(), node.FUNCTION)
    made = run(model=MODEL, **inputs)
    return getattr(made, "args", made)[0]


def sampled(model: Any, **others: Any) -> Tensor:
    return tiny.sample(model, FEATURES, steps=STEPS, **others)


def case_outcomes() -> dict[str, str]:
    """By node: what happens to the result, or the error; with scheduler simple."""
    plain = sampled(MODEL, scheduler="simple")
    outcomes: dict[str, str] = {}
    for name, (module, inputs) in NODES.items():
        try:
            model = patched(name, module, inputs)
            if model is None:
                continue
            got = sampled(model, scheduler="simple")
        except Exception as error:
            outcomes[name] = f"{type(error).__name__}: {error}".splitlines()[0]
            continue
        if not bool(torch.isfinite(got).all()):
            outcomes[name] = "not finite"
        else:
            nothing = tiny.relative_error(got, plain) < 1e-5
            outcomes[name] = "changes nothing" if nothing else "changes the result"
    return outcomes


def case_afterwards() -> float:
    """Our MODEL is as it was after all those nodes."""
    return tiny.relative_error(sampled(MODEL), sampled(tiny.networks.__wrapped__().model))


def case_shift() -> dict[str, Any]:
    """The nodes for shifted schedules: sigmas, velocity at one of them, and scheduler linear."""
    found: dict[str, Any] = {}
    sigmas = torch.linspace(1, 0, STEPS + 1)[:-1]
    for name in ("ModelSamplingSD3", "ModelSamplingAuraFlow", "ModelSamplingFlux"):
        model = patched(name, *NODES[name])
        shift = 3.0 if name != "ModelSamplingFlux" else math.exp(1.15)
        got = comfy.samplers.calculate_sigmas(
            model.get_model_object("model_sampling"), "simple", STEPS
        )
        custom = {"scheduler": sampling.LINEAR}
        found[name] = {
            "sigmas": (got[:-1] - shift * sigmas / (1 + (shift - 1) * sigmas)).abs().max().item(),
            "linear": tiny.relative_error(sampled(model, **custom), sampled(MODEL, **custom)),
        }
    return found


def case_merge_arithmetic() -> dict[str, Any]:
    """ModelMergeSubtract, ModelMergeAdd and ModelMergeBlocks against merged weights."""
    merging = importlib.import_module("comfy_extras.nodes_model_merging")
    other = tiny.networks.__wrapped__().model
    own, others = (m.model.diffusion_model.state_dict() for m in (MODEL, other))
    draw = torch.Generator().manual_seed(9)
    for key, weight in others.items():
        if key.endswith(".weight") and weight.ndim > 1:
            weight.add_(0.1 * weight.std() * torch.randn(weight.shape, generator=draw))

    small = tiny.networks.__wrapped__().model
    for key, weight in small.model.diffusion_model.state_dict().items():
        weight.copy_(0.05 * others[key])

    def expected(change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        model = tiny.networks.__wrapped__().model
        for key, weight in model.model.diffusion_model.state_dict().items():
            if "." in key:  # ComfyUI patches layers, not parameters of the network itself
                weight.copy_(change(own[key], others[key]))
        return sampled(model)

    merged = {
        "subtract": (
            merging.ModelSubtract().merge(MODEL, other, 0.25)[0],
            lambda a, b: 0.25 * (a - b),
        ),
        "add": (merging.ModelAdd().merge(MODEL, small)[0], lambda a, b: a + 0.05 * b),
        "blocks": (
            merging.ModelMergeBlocks().merge(MODEL, other, input=0.25, middle=0.9, out=0.9)[0],
            lambda a, b: 0.25 * a + 0.75 * b,
        ),
    }
    errors: dict[str, Any] = {}
    for name, (model, change) in merged.items():
        got = sampled(model)
        errors[name] = {
            "error": tiny.relative_error(got, expected(change)),
            "effect": tiny.relative_error(got, sampled(MODEL)),
        }
    return errors


def case_samplers() -> dict[str, Any]:
    """Every sampler of KSampler's, in a few steps."""
    found: dict[str, list[str]] = {"finite": [], "not": []}
    for name in comfy.samplers.KSampler.SAMPLERS:
        try:
            got = sampled(MODEL, sampler_name=name, scheduler="simple")
        except Exception as error:
            found["not"].append(f"{name}: {type(error).__name__}: {error}"[:200])
            continue
        found["finite" if bool(torch.isfinite(got).all()) else "not"].append(name)
    return {**found, "all": len(comfy.samplers.KSampler.SAMPLERS)}
