"""MMAudioGuider and MMAudioScheduler in SamplerCustomAdvanced; ComfyUI's guidance patches."""

from __future__ import annotations

import importlib
import math
from itertools import pairwise
from typing import Any

import comfy.samplers
import tiny
import torch
from mmaudio_pack.nodes import comfy_model as native
from mmaudio_pack.nodes import conditioning, latents
from mmaudio_pack.nodes.guider import MMAudioGuider
from mmaudio_pack.nodes.scheduler import MMAudioScheduler
from torch import Tensor

CFG = 4.5
STEPS = 4
PARAMS = tiny.networks().params
FEATURES = tiny.features(PARAMS)
MODEL = tiny.networks().model
FLOW = MODEL.model.diffusion_model
POSITIVE, NEGATIVE = conditioning.to_conditioning(FEATURES)
START = latents.empty_latent(FEATURES.duration, PARAMS.audio)
CUSTOM = importlib.import_module("comfy_extras.nodes_custom_sampler")


def sample(guider: Any, *, takes: int = 1, steps: int = STEPS, seed: int = 1) -> Tensor:
    """What SamplerCustomAdvanced makes of a guider."""
    sigmas = MMAudioScheduler.execute(MODEL, steps, 1.0).args[0]
    start = {**START, "samples": START["samples"].expand(takes, -1, -1, -1)}
    node, noise = CUSTOM.SamplerCustomAdvanced, CUSTOM.Noise_RandomNoise(seed)
    call = getattr(node, "execute", None) or node().sample
    made = call(noise, guider, comfy.samplers.sampler_object("euler"), sigmas, start)
    return getattr(made, "args", made)[0]["samples"]


def guider(text: float, video: float, model: Any = MODEL) -> Any:
    return MMAudioGuider.execute(model, POSITIVE, NEGATIVE, text, video).args[0]


def cfg_guider(cfg: float, model: Any = MODEL) -> Any:
    made = comfy.samplers.CFGGuider(model)
    made.set_conds(POSITIVE, NEGATIVE)
    made.set_cfg(cfg)
    return made


def velocities(x: Tensor, t: float) -> dict[str, Tensor]:
    """The network's own velocity towards data of ``x`` (B, N, C), for the three branches."""
    takes = len(x)
    picture = {"clip": FEATURES.clip, "sync": FEATURES.sync}
    none = {
        "clip": FLOW.empty_clip(1, FEATURES.clip.shape[1]),
        "sync": FLOW.empty_sync(1, FEATURES.sync.shape[1]),
    }
    branches = {
        "v0": {**none, "text": FEATURES.negative},
        "v_text": {**none, "text": FEATURES.text},
        "v_all": {**picture, "text": FEATURES.text},
    }
    times, every = torch.tensor([t]), torch.zeros(takes, dtype=torch.int64)
    network = super(native.ComfyFlowNetwork, FLOW).forward
    return {
        name: network(x, times, FLOW.conditions(**parts, latents=x.shape[1]), every)
        for name, parts in branches.items()
    }


def euler(velocity: Any, noise: Tensor, steps: int = STEPS) -> Tensor:
    """Integrate ``velocity(x, t)`` from ``noise`` (B, 1, N, C): latents as a sampler's."""
    x = noise[:, 0]
    times = torch.linspace(0, 1, steps + 1)
    for start, end in pairwise(times):
        x = x + (end - start) * velocity(x, start.item())
    return FLOW.unnormalize(x)[:, None]


def noise(takes: int = 1, seed: int = 1) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(takes, *START["samples"].shape[1:], generator=draw)


def case_formula() -> dict[str, float]:
    """Relative error against the formula, integrated by hand."""
    errors: dict[str, float] = {}
    pairs = ((4.5, 4.5), (6.0, 2.0), (1.5, 5.0), (0.0, 3.0), (4.0, 0.0), (0.0, 0.0), (1.0, 1.0))
    for text, video in pairs:

        def velocity(x: Tensor, t: float, text: float = text, video: float = video) -> Tensor:
            v = velocities(x, t)
            towards_text, towards_video = v["v_text"] - v["v0"], v["v_all"] - v["v_text"]
            return v["v0"] + text * towards_text + video * towards_video

        expected = euler(velocity, noise(2))
        errors[f"{text} {video}"] = tiny.relative_error(
            sample(guider(text, video), takes=2), expected
        )
    return errors


def case_equal_strengths() -> dict[str, float]:
    """Relative error against CFGGuider, and how far other strengths are from it."""
    expected = sample(cfg_guider(CFG))
    nearly = guider(CFG, CFG)
    nearly.text = math.nextafter(CFG, 5)  # three branches all the same
    return {
        "equal": tiny.relative_error(sample(guider(CFG, CFG)), expected),
        "three branches": tiny.relative_error(sample(nearly), expected),
        "one": tiny.relative_error(sample(guider(1.0, 1.0)), sample(cfg_guider(1.0))),
        "others": tiny.relative_error(sample(guider(CFG, 2.0)), expected),
    }


def case_batches() -> dict[str, list[int]]:
    """Rows of each call of the network in a run of one take and two steps."""
    seen: dict[str, list[int]] = {}
    for name, made in {"apart": guider(3.0, 6.0), "equal": guider(3.0, 3.0)}.items():
        rows: list[int] = []
        hook = FLOW.audio_input_proj[0].register_forward_hook(
            lambda _module, args, _out, rows=rows: rows.append(len(args[0]))
        )
        sample(made, steps=2)
        hook.remove()
        seen[name] = rows
    return seen


def case_schedule() -> dict[str, Any]:
    def of(steps: int, denoise: float) -> list[float]:
        return MMAudioScheduler.execute(MODEL, steps, denoise).args[0].tolist()

    return {"whole": of(4, 1.0), "half": of(4, 0.5), "nothing": of(4, 0.0)}


def patched(name: str, module: str, **keywords: Any) -> Any:
    node = getattr(importlib.import_module(f"comfy_extras.{module}"), name)
    made = (
        node.execute(MODEL, **keywords)
        if hasattr(node, "execute")
        else node().patch(MODEL, **keywords)
    )
    return getattr(made, "args", made)[0]


def difference(model: Any, velocity: Any, takes: int = 2) -> float:
    """Relative error of a patched MODEL under CFG against guidance done by hand."""
    return tiny.relative_error(
        sample(cfg_guider(CFG, model), takes=takes), euler(velocity, noise(takes))
    )


def zero_star(v_cond: Tensor, v_neg: Tensor) -> Tensor:
    """CFG-Zero* (arXiv 2503.18886): the negative branch scaled onto the positive one."""
    alpha = (v_cond * v_neg).sum((1, 2), keepdim=True) / v_neg.square().sum((1, 2), keepdim=True)
    return alpha * v_neg + CFG * (v_cond - alpha * v_neg)


def case_cfg_zero_star() -> dict[str, float]:
    model = patched("CFGZeroStar", "nodes_cfg")

    def published(x: Tensor, t: float) -> Tensor:
        v = velocities(x, t)
        return zero_star(v["v_all"], v["v0"])

    def on_the_data(x: Tensor, t: float) -> Tensor:
        """The same scale, applied to what each branch takes for the data."""
        v = velocities(x, t)
        alpha = (v["v_all"] * v["v0"]).sum((1, 2), keepdim=True)
        alpha = alpha / v["v0"].square().sum((1, 2), keepdim=True)
        cond, neg = (x + (1 - t) * v[name] for name in ("v_all", "v0"))
        return (alpha * neg + CFG * (cond - alpha * neg) - x) / (1 - t)

    def usual(x: Tensor, t: float) -> Tensor:
        v = velocities(x, t)
        return v["v0"] + CFG * (v["v_all"] - v["v0"])

    return {
        "published": difference(model, published),
        "on the data": difference(model, on_the_data),
        "usual guidance": difference(model, usual),
        "usual is usual": difference(MODEL, usual),
    }


def project(v: Tensor, onto: Tensor) -> tuple[Tensor, Tensor]:
    unit = onto / onto.square().sum((1, 2), keepdim=True).sqrt()
    parallel = (v * unit).sum((1, 2), keepdim=True) * unit
    return parallel, v - parallel


def apg(weight: float, eta: float, limit: float, momentum: float, mixed: bool = False) -> Any:
    """Adaptive projected guidance (arXiv 2410.02416, alg. 1) on what each branch takes for data."""
    average: list[Tensor] = []

    def velocity(x: Tensor, t: float) -> Tensor:
        v = velocities(x, t)
        cond, neg = (x + (1 - t) * v[name] for name in ("v_all", "v0"))
        change = cond - neg
        if average and momentum:
            change = change + momentum * average[-1]
        average.append(change)
        if limit:
            norm = change.square().sum((1, 2), keepdim=True)
            norm = (norm.sum(0, keepdim=True) if mixed else norm).sqrt()
            change = change * torch.clamp(limit / norm, max=1.0)
        parallel, orthogonal = project(change, cond)
        return (cond + weight * (orthogonal + eta * parallel) - x) / (1 - t)

    return velocity


def case_apg() -> dict[str, Any]:
    """Relative errors; the paper's weight is cfg - 1, ComfyUI's node uses cfg."""
    results: dict[str, Any] = {}
    settings = {
        "all": {"eta": 0.5, "norm_threshold": 5.0, "momentum": -0.5},
        "no limit": {"eta": 0.0, "norm_threshold": 0.0, "momentum": 0.0},
        "usual": {"eta": 1.0, "norm_threshold": 0.0, "momentum": 0.0},
    }
    for name, setting in settings.items():
        model = patched("APG", "nodes_apg", **setting)
        plain = setting["eta"], setting["norm_threshold"], setting["momentum"]
        results[name] = {
            "weight cfg - 1": difference(model, apg(CFG - 1, *plain)),
            "weight cfg": difference(model, apg(CFG, *plain)),
            "mixed": difference(model, apg(CFG, *plain, mixed=True)),
        }
    model = patched("APG", "nodes_apg", eta=1.0, norm_threshold=0.0, momentum=0.0)
    results["cfg at eta 1"] = {
        "same cfg": tiny.relative_error(sample(cfg_guider(CFG, model)), sample(cfg_guider(CFG))),
        "one more": tiny.relative_error(
            sample(cfg_guider(CFG, model)), sample(cfg_guider(CFG + 1))
        ),
    }
    return results


def case_rescale_cfg() -> dict[str, float]:
    """At a multiplier of 0 RescaleCFG is meant to be ordinary guidance."""
    model = patched("RescaleCFG", "nodes_model_advanced", multiplier=0.0)
    usual = sample(cfg_guider(CFG))
    full = patched("RescaleCFG", "nodes_model_advanced", multiplier=1.0)

    def rescaled(x: Tensor, t: float) -> Tensor:
        """Lin et al. (arXiv 2305.08891, eq. 15-16) on velocities."""
        v = velocities(x, t)
        guided = v["v0"] + CFG * (v["v_all"] - v["v0"])
        return guided * (v["v_all"].std((1, 2), keepdim=True) / guided.std((1, 2), keepdim=True))

    return {
        "multiplier 0": tiny.relative_error(sample(cfg_guider(CFG, model)), usual),
        "multiplier 1": difference(full, rescaled),
    }


def case_guidance_patches_work_in_the_guider() -> dict[str, float]:
    """Equal strengths with a patch are ordinary guidance with that patch."""
    errors: dict[str, float] = {}
    for name, model in {
        "CFGZeroStar": patched("CFGZeroStar", "nodes_cfg"),
        "APG": patched("APG", "nodes_apg", eta=0.5, norm_threshold=5.0, momentum=-0.5),
    }.items():
        nearly = guider(CFG, CFG, model)
        nearly.text = math.nextafter(CFG, 5)
        errors[name] = tiny.relative_error(sample(nearly), sample(cfg_guider(CFG, model)))
    return errors


def case_errors() -> dict[str, str]:
    class Other:
        model = object()

    said: dict[str, str] = {}
    for name, call in {
        "guider": lambda: MMAudioGuider.execute(Other(), POSITIVE, NEGATIVE, 1.0, 2.0),
        "scheduler": lambda: MMAudioScheduler.execute(Other(), 4, 1.0),
        "text": lambda: sample(
            MMAudioGuider.execute(MODEL, [[torch.zeros(1, 77, 64), {}]], NEGATIVE, 1.0, 2.0).args[0]
        ),
    }.items():
        try:
            call()
        except ValueError as error:
            said[name] = str(error)
    return said
