"""Sound longer than one window, through ComfyUI's samplers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import tiny
from mmaudio_pack.mmaudio_core import pipeline
from mmaudio_pack.mmaudio_core.networks import LoadedNetworks
from mmaudio_pack.mmaudio_core.windows import Join, WindowParams
from mmaudio_pack.nodes import latents, native
from mmaudio_pack.nodes.long_form import MMAudioLongForm

SECONDS = Fraction(25)


def case_equals_the_core() -> dict[str, float]:
    """The sampler node's path and KSampler's beside the core's own sampler."""
    networks = tiny.networks()
    features = tiny.features(networks.params, SECONDS)
    core = LoadedNetworks(bundle=networks.bundle)
    expected = pipeline.sample(core, features, [1, 2], steps=3, cfg=4.5)
    got = tiny.sample(networks.model, features, seeds=[1, 2], steps=3)
    positive, negative = native.conditioning(features, networks.params)
    empty = latents.empty(features.duration, networks.params.audio)
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
    core = LoadedNetworks(bundle=networks.bundle)
    params = WindowParams(window=Fraction(6), overlap=Fraction(2), join=Join.SWAP)
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
