"""Samplers, schedules, precision and patches of the MODEL."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import comfy.model_management as mm
import tiny
import torch
from mmaudio_pack.mmaudio_core.checkpoint import PartKind
from mmaudio_pack.nodes import comfy_sampling as sampling
from mmaudio_pack.nodes import conditioning, latents
from mmaudio_pack.nodes.model_manager import ComfyModels, precision_dtype


def case_samplers() -> dict[str, float]:
    """Distance of 25 steps of each sampler from 400 steps of Euler."""
    networks = tiny.networks()
    features = tiny.features(networks.params, Fraction(1))

    def sampled(name: str, steps: int) -> torch.Tensor:
        return tiny.sample(networks.model, features, steps=steps, sampler_name=name)

    exact = sampled("euler", 400)
    names = ("euler", "heun", "dpmpp_2m", "uni_pc")
    return {name: tiny.relative_error(sampled(name, 25), exact) for name in names}


def case_schedules() -> dict[str, Any]:
    """The linear schedule, and every schedule's ends."""
    model = tiny.networks().model

    def sigmas(scheduler: str, steps: int, denoise: float = 1.0) -> list[float]:
        return sampling.sigmas(model, "euler", scheduler, steps, denoise).tolist()

    return {
        "linear": sigmas("linear", 4),
        "simple_25": sigmas("simple", 25),
        "linear_25": sigmas("linear", 25),
        "half": sigmas("linear", 4, 0.5),
        "first": sampling.schedulers()[0],
        "lasts": [sigmas(name, 7)[-1] for name in sampling.schedulers()],
    }


def case_fp8() -> dict[str, Any]:
    """What is stored in fp8, and how far it gets from float32."""
    exact = tiny.networks()
    rough = ComfyModels(exact.bundle, "fp8_e4m3fn")
    features = tiny.features(exact.params)
    flow = rough.model.model.diffusion_model
    stored = {name: str(p.dtype) for name, p in flow.named_parameters()}
    vae = rough.acquire(PartKind.VAE, 0).network
    others = (".bias", "_feat", "_norm.weight")
    got, expected = (tiny.sample(n.model, features, steps=25) for n in (rough, exact))
    return {
        "matrices": sorted({d for n, d in stored.items() if n.endswith("qkv.weight")}),
        "others": sorted({d for n, d in stored.items() if n.endswith(others)}),
        "computed": str(precision_dtype("auto")),
        "vae": sorted({str(p.dtype) for p in vae.parameters()}),
        "error": tiny.relative_error(got, expected),
    }


def case_multiplier() -> float:
    """ModelSamplingSD3 sets a multiplier of 1000; with its shift at 1 nothing else may change."""
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    networks = tiny.networks()
    features = tiny.features(networks.params)
    (patched,) = ModelSamplingSD3().patch(networks.model, 1.0)
    return tiny.relative_error(
        tiny.sample(patched, features), tiny.sample(networks.model, features)
    )


def case_interrupt() -> dict[str, Any]:
    """Blocks that still run after an interrupt, and the next run beside an undisturbed one."""
    networks = tiny.networks()
    features = tiny.features(networks.params)
    undisturbed = tiny.sample(networks.model, features)
    started: list[str] = []

    def interrupt(_module: Any, _inputs: Any) -> None:
        if not started:
            mm.interrupt_current_processing()
        started.append("block")

    blocks = networks.model.model.diffusion_model.interruptible_modules()
    # before the pack's own hooks: what is raised by those comes after this count
    handles = [block.register_forward_hook(lambda *_: started.append("ran")) for block in blocks]
    first = blocks[0].register_forward_pre_hook(interrupt)
    try:
        tiny.sample(networks.model, features)
        outcome = "finished"
    except mm.InterruptProcessingException:
        outcome = "interrupted"
    finally:
        first.remove()
        for handle in handles:
            handle.remove()
    return {
        "outcome": outcome,
        "ran": started.count("ran"),
        "next": tiny.relative_error(tiny.sample(networks.model, features), undisturbed),
    }


def case_wrong_latent() -> str:
    """EmptyLatentAudio's shape: what the error says."""
    networks = tiny.networks()
    features = tiny.features(networks.params)
    positive, negative = conditioning.to_conditioning(features)
    try:
        tiny.CORE_NODES.KSampler().sample(
            networks.model,
            1,
            2,
            4.5,
            "euler",
            "simple",
            positive,
            negative,
            {"samples": torch.zeros(1, 64, 172)},
        )
    except ValueError as error:
        return str(error)
    return "no error"


def case_seeds() -> float:
    """Take 1 of a batch of 3 beside a single run of its seed."""
    networks = tiny.networks()
    features = tiny.features(networks.params)
    batch = tiny.sample(networks.model, features, seeds=range(7, 10))
    alone = tiny.sample(networks.model, features, seeds=[8])
    empty = latents.empty_latent(features.duration, networks.params.audio)
    assert empty["samples"].shape == alone.shape
    return tiny.relative_error(batch[1:2], alone)
