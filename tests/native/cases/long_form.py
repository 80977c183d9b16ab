"""Sound longer than one window, through ComfyUI's samplers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import tiny
from mmaudio_pack.mmaudio_core.providers import CachedModels
from mmaudio_pack.mmaudio_core.sampling import sample as pipeline
from mmaudio_pack.mmaudio_core.sampling.windows import JoinMode, WindowParams
from mmaudio_pack.nodes import comfy_model as native
from mmaudio_pack.nodes import conditioning, latents
from mmaudio_pack.nodes.long_form import MMAudioLongForm
from mmaudio_pack.nodes.prompt_schedule import MMAudioPromptSchedule

SECONDS = Fraction(25)


def case_equals_the_core() -> dict[str, float]:
    """The sampler node's path and KSampler's beside the core's own sampler."""
    networks = tiny.networks()
    features = tiny.features(networks.params, SECONDS)
    core = CachedModels(bundle=networks.bundle)
    expected = pipeline.sample(core, features, [1, 2], steps=3, cfg=4.5)
    got = tiny.sample(networks.model, features, seeds=[1, 2], steps=3)
    positive, negative = conditioning.to_conditioning(features)
    empty = latents.empty_latent(features.duration, networks.params.audio)
    (by_ksampler,) = tiny.CORE_NODES.KSampler().sample(
        networks.model, 1, 2, 4.5, "euler", "simple", positive, negative, empty
    )
    two = pipeline.sample(core, features, [1], steps=2, cfg=4.5)
    return {
        "takes": tiny.relative_error(got[:, 0], expected),
        "ksampler": tiny.relative_error(by_ksampler["samples"][:, 0], two),
    }


def case_node() -> dict[str, Any]:
    """The node's settings reach the model, and go with the patch."""
    networks = tiny.networks()
    features = tiny.features(networks.params, SECONDS)
    core = CachedModels(bundle=networks.bundle)
    params = WindowParams(window=Fraction(6), overlap=Fraction(2), join=JoinMode.INTERLEAVE)
    expected = pipeline.sample(core, features, [1], steps=2, windows=params)
    usual = tiny.sample(networks.model, features, steps=2)
    (patched,) = MMAudioLongForm.execute(networks.model, 6.0, 2.0, "swap").args
    got = tiny.sample(patched, features, steps=2)
    again = tiny.sample(networks.model, features, steps=2)
    return {
        "node": tiny.relative_error(got[:, 0], expected),
        "differs": tiny.relative_error(got, usual),
        "unpatched": tiny.relative_error(again, usual),
    }


def case_batches() -> list[int]:
    """Rows of each call of the network, in a step with guidance of 4 windows."""
    networks = tiny.networks()
    features = tiny.features(networks.params, SECONDS)
    rows: list[int] = []
    block = networks.model.model.diffusion_model.fused_blocks[0]
    handle = block.register_forward_pre_hook(lambda _module, inputs: rows.append(len(inputs[0])))
    try:
        tiny.sample(networks.model, features, steps=1)
    finally:
        handle.remove()
    return rows


def case_schedule() -> dict[str, float]:
    """Prompts over time, in one pass and in windows, beside the core's own sampler."""
    networks = tiny.networks()
    core = CachedModels(bundle=networks.bundle)
    errors: dict[str, float] = {}
    for seconds in (4, 25):
        plain = tiny.features(networks.params, Fraction(seconds))
        features, positive, negative = MMAudioPromptSchedule.execute(
            networks, plain, "0-2: rain | 2-4: thunder --no music", 0.5
        ).args
        expected = pipeline.sample(core, features, [1, 2], steps=2)
        got = tiny.sample(networks.model, features, seeds=[1, 2], steps=2)
        errors[f"{seconds} s"] = tiny.relative_error(got[:, 0], expected)
        empty = latents.empty_latent(features.duration, networks.params.audio)
        (by_ksampler,) = tiny.CORE_NODES.KSampler().sample(
            networks.model, 1, 2, 4.5, "euler", "simple", positive, negative, empty
        )
        errors[f"{seconds} s, KSampler"] = tiny.relative_error(
            by_ksampler["samples"][:, 0], expected[:1]
        )
    return errors


def case_schedule_matters() -> float:
    """How far a schedule takes the latents from those of the features' own prompt."""
    networks = tiny.networks()
    plain = tiny.features(networks.params, Fraction(4))
    features = MMAudioPromptSchedule.execute(networks, plain, "0-2: rain", 0.5).args[0]
    return tiny.relative_error(
        tiny.sample(networks.model, features), tiny.sample(networks.model, plain)
    )


def case_little_room() -> dict[str, Any]:
    """With little memory free, windows run one by one, and make the same."""
    networks = tiny.networks()
    features = tiny.features(networks.params, SECONDS)
    expected = tiny.sample(networks.model, features, steps=1)
    rows: list[int] = []
    block = networks.model.model.diffusion_model.fused_blocks[0]
    handle = block.register_forward_pre_hook(lambda _module, inputs: rows.append(len(inputs[0])))
    free = native.mm.get_free_memory
    native.mm.get_free_memory = lambda *_, **__: 2e6
    try:
        got = tiny.sample(networks.model, features, steps=1)
    finally:
        native.mm.get_free_memory = free
        handle.remove()
    return {"rows": rows, "error": tiny.relative_error(got, expected)}
