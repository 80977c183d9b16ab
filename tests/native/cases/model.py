"""The MODEL beside the core's own sampler."""

from __future__ import annotations

from typing import Any

import tiny
from mmaudio_pack.mmaudio_core.providers import CachedModels
from mmaudio_pack.mmaudio_core.sampling import sample as pipeline
from mmaudio_pack.nodes import conditioning, latents


def case_equals_the_core() -> dict[str, Any]:
    """Relative error of two takes against the core's sampler, and of KSampler's first."""
    errors: dict[str, Any] = {}
    for variant in (tiny.SMALL, tiny.LARGE):
        networks = tiny.networks(variant)
        features = tiny.features(networks.params)
        core = CachedModels(bundle=networks.bundle)
        expected = pipeline.sample(core, features, [5, 6], steps=5, cfg=4.5)
        got = tiny.sample(networks.model, features, seeds=[5, 6], steps=5)
        positive, negative = conditioning.to_conditioning(features)
        (by_ksampler,) = tiny.CORE_NODES.KSampler().sample(
            networks.model,
            5,
            5,
            4.5,
            "euler",
            "simple",
            positive,
            negative,
            latents.empty_latent(features.duration, networks.params.audio),
        )
        errors[variant] = {
            "takes": tiny.relative_error(got[:, 0], expected),
            "ksampler": tiny.relative_error(by_ksampler["samples"][:, 0], expected[:1]),
        }
    return errors
