"""Regions, extensions and encoding, through ComfyUI's samplers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import tiny
import torch
from mmaudio_pack.nodes import latents
from mmaudio_pack.nodes.decode import MMAudioDecode
from mmaudio_pack.nodes.encode import MMAudioEncode
from mmaudio_pack.nodes.extend import MMAudioExtend
from mmaudio_pack.nodes.region import MMAudioRegion


def _sampled(networks: Any, features: Any, latent: Any, **keywords: Any) -> torch.Tensor:
    return tiny.sample(networks.model, features, latent=latent, steps=4, **keywords)


def case_region() -> dict[str, Any]:
    """A region made anew: how much the kept part and the region differ from what was there."""
    networks = tiny.networks()
    features = tiny.features(networks.params)
    first = _sampled(networks, features, None, seeds=[1])
    given = latents.make_latent(first, features.duration)
    (marked,) = MMAudioRegion.execute(given, start=0.5, end=1.0, feather=0.1).args
    again = _sampled(networks, features, marked, seeds=[2])
    mask = marked["noise_mask"][0, :, 0]
    difference = (again - first).abs().amax(dim=(0, 1, 3))
    seconds_per_latent = 0.032
    return {
        "kept": difference[mask == 0].max().item(),
        "changed": difference[mask == 1].min().item(),
        "first_changed": (mask == 1).nonzero()[0].item() * seconds_per_latent,
        "last_changed": (mask == 1).nonzero()[-1].item() * seconds_per_latent,
        "feathered": int(((mask > 0) & (mask < 1)).sum()),
    }


def case_extend() -> dict[str, Any]:
    """A result continued: the old part is kept, the new one is not what it was filled with."""
    networks = tiny.networks()
    short, long = (tiny.features(networks.params, Fraction(s)) for s in (2, 3))
    first = _sampled(networks, short, None, seeds=[1])
    given = latents.make_latent(first, short.duration)
    (longer,) = MMAudioExtend.execute(given, duration=3.0, overlap=0.25).args
    made = _sampled(networks, long, longer, seeds=[2])
    kept = 50  # of 63 latents, well before the overlap
    (audio,) = MMAudioDecode.execute(networks, latents.make_latent(made, long.duration)).args
    return {
        "length": made.shape[2],
        "kept": (made[:, :, :kept] - first[:, :, :kept]).abs().max().item(),
        "new": (made[:, :, 63:] - longer["samples"][:, :, 63:]).abs().max().item(),
        "samples": audio["waveform"].shape[-1],
    }


def case_encode() -> dict[str, Any]:
    """Sound of another rate and two channels, to latents as long as asked for."""
    networks = tiny.networks()
    time = torch.arange(48_000) / 48_000
    sine = 0.5 * torch.sin(2 * torch.pi * 440 * time)
    audio = {"waveform": sine.expand(2, 2, -1), "sample_rate": 48_000}
    (own,) = MMAudioEncode.execute(networks, audio).args
    (longer,) = MMAudioEncode.execute(networks, audio, duration=2.0).args
    of = tiny.features(networks.params, Fraction(3, 2))
    (as_features,) = MMAudioEncode.execute(networks, audio, duration=2.0, features=of).args
    sixteen = {
        "waveform": (0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(16_000) / 16_000))[
            None, None
        ],
        "sample_rate": 16_000,
    }
    (direct,) = MMAudioEncode.execute(networks, sixteen).args
    inner = slice(3, -3)  # at the ends the resampler's filter sees silence
    return {
        "own": list(own["samples"].shape),
        "longer": list(longer["samples"].shape),
        "as_features": list(as_features["samples"].shape),
        "resampled_error": tiny.relative_error(
            own["samples"][:1, :, inner], direct["samples"][:, :, inner]
        ),
    }


def case_denoise() -> list[float]:
    """How far audio to audio gets from its start, by denoise."""
    networks = tiny.networks()
    features = tiny.features(networks.params)
    start = _sampled(networks, features, None, seeds=[1])
    given = latents.make_latent(start, features.duration)
    return [
        tiny.relative_error(_sampled(networks, features, given, seeds=[2], denoise=denoise), start)
        for denoise in (0.0, 0.25, 1.0)
    ]
