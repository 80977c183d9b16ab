"""Synthetic weights: small networks of the published architecture with seeded random tensors.

The license of the published weights keeps them out of the repository, so the demo and the tests
use these. Each tensor depends on seed, key and shape only, and is scaled so that activations stay
in range. The sound is noise, which users of a synthetic model are told.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from ..config import FORMAT_16K
from ..models.bigvgan import BigVGAN, BigVGANParams
from ..models.clip import CLIP, CLIPParams
from ..models.flow import FlowNetwork, FlowParams
from ..models.synchformer import SyncHead, SyncHeadParams, Synchformer, SynchformerParams
from ..models.vae import VAE, VAEParams
from .identify import SYNTHETIC_KEY
from .kinds import PartKind
from .layouts import LAYOUTS
from .published import find_variant
from .weight_norm import unfolded_shapes

# First half of BigVGAN's symmetric anti-aliasing filter: a 12-tap Kaiser-windowed sinc, cutoff
# 0.25, half-width 0.3. The published vocoders store it with their weights.
_HALF_FILTER = (
    0.0020289646927267313,
    0.009389465674757957,
    -0.0255434587597847,
    -0.057657383382320404,
    0.12857258319854736,
    0.44320979714393616,
)
_MATRICES = ("weight", "in_proj_weight", "proj", "text_projection")


def seeded_tensor(key: str, shape: Sequence[int], seed: int = 0) -> Tensor:
    """The float32 tensor of checkpoint entry ``key``; the same on every machine."""
    if key.endswith(".filter"):
        return torch.tensor(_HALF_FILTER + _HALF_FILTER[::-1]).view(1, 1, 12)
    shape = tuple(shape)
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(f"{seed}:{key}".encode())))
    z = torch.as_tensor(generator.standard_normal(shape or (1,), dtype=np.float32)).reshape(shape)
    leaf = key.rsplit(".", 1)[-1]
    if leaf in ("original0", "weight_g"):  # weight norm: the norm of each filter
        return (0.02 if "conv_post" in key else 1.0) * (1 + 0.1 * z)
    if leaf in ("original1", "weight_v"):  # weight norm: the direction
        return z
    if leaf in ("latent_std", "data_std"):
        return 1 + 0.1 * z.abs()
    if leaf == "logit_scale":
        return torch.full(shape, math.log(1 / 0.07))
    if leaf in _MATRICES and len(shape) >= 2:
        return z / math.sqrt(math.prod(shape[1:]))
    if leaf == "weight":  # the scale of a norm layer
        return 1 + 0.1 * z
    return 0.1 * z  # biases, embeddings, class tokens, logarithms of snake parameters


def seeded_state_dict(manifest: Mapping[str, Sequence[int]], seed: int = 0) -> dict[str, Tensor]:
    """State dict for ``manifest`` (key -> shape)."""
    return {key: seeded_tensor(key, shape, seed) for key, shape in manifest.items()}


@dataclass(frozen=True, kw_only=True)
class _Sizes:
    """Sizes of a small model: wide enough for whole attention heads, small enough for tests."""

    width: int = 64
    joint: int = 2
    fused: int = 2
    clip: int = 64
    text: int = 64
    vision: int = 80
    sync: int = 64
    vae: int = 16
    vocoder: int = 64


def write_synthetic_bundle(folder: Path, *, variant: str = "large_44k_v2", seed: int = 0) -> None:
    """Write the five files of a small synthetic ``variant`` into ``folder``.

    Keys and nesting are the published ones: the vocoder is a pickle with weight norm under
    ``generator``, the others are flat (in safetensors). The metadata of each file marks it as
    synthetic.

    Raises:
        MMAudioError: there is no such variant.
    """
    published = find_variant(variant).params
    folder.mkdir(parents=True, exist_ok=True)
    note = {SYNTHETIC_KEY: variant}
    for kind, manifest in _manifests(published, _Sizes()).items():
        state = seeded_state_dict(manifest, seed)
        stem = folder / f"synthetic_{variant}_{kind.value}"
        if kind is PartKind.VOCODER:
            torch.save({"generator": state, **note}, stem.with_suffix(".pt"))
        else:
            save_file(state, stem.with_suffix(".safetensors"), metadata=note)


def _manifests(flow: FlowParams, s: _Sizes) -> dict[PartKind, dict[str, tuple[int, ...]]]:
    """Published key -> shape, for a small network of each kind, by the file that holds it."""
    fmt = flow.audio
    small = replace(
        flow,
        clip_dim=s.clip,
        sync_dim=s.sync,
        text_dim=s.text,
        width=s.width,
        joint_depth=s.joint,
        fused_depth=s.fused,
    )
    clip = CLIPParams(
        image_size=384,
        patch_size=14,
        vision_width=s.vision,
        vision_layers=1,
        vision_heads=s.vision // 80,
        text_width=s.text,
        text_layers=1,
        text_heads=s.text // 64,
        context_length=77,
        vocab_size=49_408,
        embed_dim=s.clip,
    )
    sync = SynchformerParams(width=s.sync, layers=1, times=8, places=196, tube=2, patch=16)
    head = SyncHeadParams(width=s.sync, audio_layers=1, layers=1, offsets=21)
    vae = VAEParams(mels=fmt.mels, latent_dim=fmt.latent_dim, hidden=s.vae)
    vocoder = BigVGANParams(
        mels=fmt.mels,
        width=s.vocoder,
        rates=(4, 4, 2, 2, 2, 2) if fmt is FORMAT_16K else (8, 4, 2, 2, 2, 2),
        kernels=(3, 7, 11),
        tanh=fmt is FORMAT_16K,
    )
    networks = {
        PartKind.FLOW: FlowNetwork(small, device="meta"),
        PartKind.VAE: VAE(vae, device="meta"),
        PartKind.VOCODER: BigVGAN(vocoder, device="meta"),
        PartKind.CLIP: CLIP(clip, device="meta"),
        PartKind.SYNCHFORMER: Synchformer(sync, device="meta"),
        PartKind.SYNC_HEAD: SyncHead(head, device="meta"),
    }
    manifests = {
        kind: {
            LAYOUTS[kind].published_key(key): tuple(value.shape)
            for key, value in network.state_dict().items()
        }
        for kind, network in networks.items()
    }
    manifests[PartKind.VAE] |= {"encoder.learnable_gain": (), "decoder.learnable_gain": ()}
    manifests[PartKind.CLIP] |= {"logit_scale": ()}
    manifests[PartKind.SYNCHFORMER] |= manifests.pop(PartKind.SYNC_HEAD)
    manifests[PartKind.VOCODER] = unfolded_shapes(manifests[PartKind.VOCODER])
    return manifests
