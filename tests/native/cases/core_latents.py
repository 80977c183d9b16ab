"""LATENTs of this pack through core's nodes: what is known of their duration afterwards."""

from __future__ import annotations

import importlib
from fractions import Fraction
from typing import Any

import tiny
import torch
from mmaudio_pack.mmaudio_core.config import exact_samples, sequence_lengths
from mmaudio_pack.nodes import latents
from mmaudio_pack.nodes.cures import MMAudioNodeError
from mmaudio_pack.nodes.decode import MMAudioDecode
from mmaudio_pack.nodes.encode import MMAudioEncode
from mmaudio_pack.nodes.extend import MMAudioExtend
from mmaudio_pack.nodes.region import MMAudioRegion

# this one and nodes_latent import each other, which works from here only
importlib.import_module("comfy_extras.nodes_post_processing")
nodes_latent: Any = importlib.import_module("comfy_extras.nodes_latent")
nodes_rebatch: Any = importlib.import_module("comfy_extras.nodes_rebatch")
NODES = tiny.CORE_NODES
SECONDS = Fraction("1.2345")  # 19752 samples of 38.6 latents
RATE, PER_LATENT = 16_000, 512


def made(takes: int = 1, seconds: Fraction = SECONDS) -> latents.Latent:
    """A LATENT as MMAudioEncode makes it."""
    sound = torch.randn(takes, 1, exact_samples(seconds, RATE)) / 9
    audio = {"waveform": sound, "sample_rate": RATE}
    return MMAudioEncode.execute(tiny.networks(), audio).args[0]


def loaded(latent: latents.Latent) -> latents.Latent:
    saved = NODES.SaveLatent().save(latent, "latents/test")["ui"]["latents"][0]
    name = f"{saved['subfolder']}/{saved['filename']} [output]"
    return NODES.LoadLatent().load(name)[0]


def rebatched(*of: latents.Latent, size: int = 1) -> list[latents.Latent]:
    return nodes_rebatch.LatentRebatch.execute(list(of), [size]).args[0]


def batched(a: latents.Latent, b: latents.Latent) -> latents.Latent:
    return nodes_latent.LatentBatch.execute(a, b).args[0]


def picked(latent: latents.Latent, index: int, length: int = 1) -> latents.Latent:
    return NODES.LatentFromBatch().frombatch(latent, index, length)[0]


def repeated(latent: latents.Latent, amount: int) -> latents.Latent:
    return NODES.RepeatLatentBatch().repeat(latent, amount)[0]


def sampled(latent: latents.Latent) -> latents.Latent:
    networks = tiny.networks()
    positive, negative = tiny.conditioning.to_conditioning(tiny.features(networks.params, SECONDS))
    return NODES.KSampler().sample(
        networks.model, 1, 1, 1.0, "euler", "simple", positive, negative, latent
    )[0]


def cut(latent: latents.Latent) -> latents.Latent:
    return nodes_latent.LatentCut.execute(latent, "y", 0, 30).args[0]


def joined(a: latents.Latent, b: latents.Latent) -> latents.Latent:
    return nodes_latent.LatentConcat.execute(a, b, "y").args[0]


def routes() -> dict[str, latents.Latent]:
    near = SECONDS + Fraction(1, 1000)  # as many latents
    marked = MMAudioRegion.execute(made(), start=0.2, end=0.0, feather=0.1).args[0]
    return {
        "as made": made(),
        "KSampler": sampled(made()),
        "Repeat": repeated(made(), 3),
        "FromBatch": picked(made(3), 1),
        "FromBatch, two": picked(made(3), 1, 2),
        "FromBatch, Repeat": repeated(picked(made(3), 1), 2),
        "Multiply": nodes_latent.LatentMultiply.execute(made(), 0.5).args[0],
        "Region": marked,
        "Load": loaded(made()),
        "Load, KSampler": sampled(loaded(made())),
        "Rebatch": rebatched(made(2))[1],
        "Rebatch, joined": rebatched(made(), made(1, near), size=2)[0],
        "Rebatch, Region": rebatched(marked)[0],
        "Batch": batched(made(), made(1, near)),
        "Batch of parts": batched(picked(made(3), 2), picked(made(3), 1)),
        "Batch, Repeat": repeated(batched(made(2), made(1)), 2),
        "Cut": cut(made()),
        "Concat": joined(made(), made()),
    }


def case_routes() -> dict[str, Any]:
    """Samples that are decoded, with and without the features; what the nodes say."""
    networks = tiny.networks()
    features = tiny.features(networks.params, SECONDS)
    table: dict[str, Any] = {}
    for name, latent in routes().items():
        plain = MMAudioDecode.execute(networks, latent)
        region = MMAudioRegion.execute(latent, start=0.2, end=0.0, feather=0.0)
        extended = MMAudioExtend.execute(latent, duration=3.0, overlap=0.0)
        try:
            told = MMAudioDecode.execute(networks, latent, features)
            exact: Any = told.args[0]["waveform"].shape[-1]
            quiet = not told.ui["text"]
        except MMAudioNodeError as error:
            exact, quiet = str(error), True
        table[name] = {
            "takes": len(plain.args[0]["waveform"]),
            "samples": plain.args[0]["waveform"].shape[-1],
            "whole": latent["samples"].shape[2] * PER_LATENT,
            "notices": [output.ui["text"] for output in (plain, region, extended)],
            "with features": exact,
            "quiet": quiet,
        }
    return table


def case_exact() -> list[int]:
    """Samples of SECONDS, and of the latents that hold them."""
    whole = sequence_lengths(SECONDS, tiny.networks().params.audio).samples
    return [exact_samples(SECONDS, RATE), whole]
