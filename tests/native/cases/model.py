"""The MODEL beside the core's own sampler."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tiny
import torch
from mmaudio_pack.mmaudio_core.checkpoint import PartKind
from mmaudio_pack.mmaudio_core.providers import CachedModels
from mmaudio_pack.mmaudio_core.sampling import sample as pipeline
from mmaudio_pack.mmaudio_core.scoring.sync import score_sync
from mmaudio_pack.nodes import conditioning, latents
from mmaudio_pack.nodes.model_manager import ComfyModels


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


def case_sync_head() -> dict[str, Any]:
    """The synchronisation head under ComfyUI's memory management, and in the core."""
    networks = tiny.networks.__wrapped__(tiny.SMALL)
    core = CachedModels(bundle=networks.bundle)
    draw = torch.Generator().manual_seed(0)
    sync = torch.randn(1, 14 * 8, networks.params.sync_dim, generator=draw)
    sound = 0.1 * torch.randn(2, 1, 5 * 16_000, generator=draw)
    networks.acquire(PartKind.SYNCHFORMER, 0)
    (synchformer,) = networks.get_models()
    found = score_sync(networks, sync, sound, 16_000)
    _, head = networks.get_models()
    mel, audio = torch.randn(14, 128, 66, generator=draw), sync[:, : 14 * 6]
    got, expected = (
        provider.acquire(PartKind.SYNC_HEAD, 0).network for provider in (networks, core)
    )
    without = ComfyModels(replace(networks.bundle, sync_head=None), "fp32")
    (unmeasured,) = score_sync(without, sync, sound[:1], 16_000)
    return {
        "same": found == score_sync(core, sync, sound, 16_000),
        "measured": [one.desync is not None for one in found],
        "audio": tiny.relative_error(got.encode_segments(mel), expected.encode_segments(mel)),
        "logits": tiny.relative_error(
            got.offset_logits(sync, audio), expected.offset_logits(sync, audio)
        ),
        "bytes": [patcher.model_size() for patcher in (synchformer, head)],
        "parameters": [
            sum(p.nbytes for p in core.acquire(kind, 0).network.parameters())
            for kind in (PartKind.SYNCHFORMER, PartKind.SYNC_HEAD)
        ],
        "reason": unmeasured.reason,
        "read": len(without.get_models()),
    }
