"""How published files store each network: the key that identifies it, and the map of its keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..models import bigvgan, clip, flow, synchformer, vae
from .kinds import PartKind
from .weight_norm import fold_weight_norm

Params = (
    flow.FlowParams
    | vae.VAEParams
    | bigvgan.BigVGANParams
    | clip.CLIPParams
    | synchformer.SynchformerParams
    | synchformer.SyncHeadParams
)
State = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Published layout of one kind of network.

    Attributes:
        signature: a key that no other network has; whatever precedes it in a file is the prefix
            under which the file nests this network.
        params: infers the architecture from the shapes by our keys.
        network: class to build.
        ignored: keys that are not used here.
        ignored_prefixes: beginnings of further keys that are not used here.
        suffixes: published ends of keys -> ours.
        fold: converts stored tensors to the ones the network computes with.
        float32: ends of keys whose tensors stay float32 in any precision.
    """

    kind: PartKind
    signature: str
    params: Callable[[Mapping[str, Sequence[int]]], Params]
    network: Callable[..., nn.Module]
    ignored: tuple[str, ...] = ()
    ignored_prefixes: tuple[str, ...] = ()
    suffixes: Mapping[str, str] = field(default_factory=dict[str, str])
    fold: Callable[[State], State] = lambda state: state
    float32: tuple[str, ...] = ()

    def dtype_of(self, key: str, dtype: torch.dtype) -> torch.dtype:
        """The dtype of the tensor ``key`` (ours) in a network of ``dtype``."""
        return torch.float32 if key.endswith(self.float32) else dtype

    def prefixes(self, keys: Mapping[str, Any]) -> list[str]:
        """Prefixes under which a file with these keys nests this network, shortest first."""
        found = [
            key[: -len(self.signature)]
            for key in keys
            if key.endswith(self.signature)
            and (len(key) == len(self.signature) or key[-len(self.signature) - 1] == ".")
        ]
        return sorted(found, key=lambda prefix: (len(prefix), prefix))

    def rename(self, keys: Mapping[str, Any], prefix: str) -> dict[str, str]:
        """Our key -> stored key, for the keys under ``prefix`` that are used."""
        renamed: dict[str, str] = {}
        for stored in keys:
            if not stored.startswith(prefix):
                continue
            key = stored[len(prefix) :]
            if key in self.ignored or key.startswith(self.ignored_prefixes):
                continue
            for end, ours in self.suffixes.items():
                if key.endswith(end):
                    key = key.removesuffix(end) + ours
            renamed[key] = stored
        return renamed

    def published_key(self, key: str) -> str:
        """The published name of our key ``key``."""
        for end, ours in self.suffixes.items():
            if key.endswith(ours):
                return key.removesuffix(ours) + end
        return key


def fold_vocoder(state: State) -> dict[str, Tensor]:
    """Fold weight norm, and replace filters that were stored rounded by the exact ones."""
    return {
        key: bigvgan.lowpass_filter()
        if key.endswith(".filter") and tensor.dtype != torch.float32
        else tensor
        for key, tensor in fold_weight_norm(state).items()
    }


LAYOUTS: Mapping[PartKind, Layout] = {
    layout.kind: layout
    for layout in (
        Layout(
            kind=PartKind.FLOW,
            signature="audio_input_proj.0.weight",
            params=flow.FlowParams.from_shapes,
            network=flow.FlowNetwork,
            ignored=flow.IGNORED_KEYS,
        ),
        Layout(
            kind=PartKind.VAE,
            signature="decoder.mid.attn_1.qkv.weight",
            params=vae.VAEParams.from_shapes,
            network=vae.VAE,
            fold=vae.fold_weights,
        ),
        Layout(
            kind=PartKind.VOCODER,
            signature="resblocks.0.activations.0.act.alpha",
            params=bigvgan.BigVGANParams.from_shapes,
            network=bigvgan.BigVGAN,
            fold=fold_vocoder,
            float32=bigvgan.FLOAT32_SUFFIXES,
        ),
        Layout(
            kind=PartKind.CLIP,
            signature="visual.class_embedding",
            params=clip.CLIPParams.from_shapes,
            network=clip.CLIP,
            ignored=clip.IGNORED_KEYS,
            suffixes=clip.KEY_SUFFIXES,
        ),
        Layout(
            kind=PartKind.SYNCHFORMER,
            signature="vfeat_extractor.patch_embed_3d.proj.weight",
            params=synchformer.SynchformerParams.from_shapes,
            network=synchformer.Synchformer,
            ignored=synchformer.IGNORED_KEYS,
            ignored_prefixes=synchformer.IGNORED_PREFIXES,
            suffixes=synchformer.KEY_SUFFIXES,
        ),
        Layout(
            kind=PartKind.SYNC_HEAD,
            signature=synchformer.SYNC_HEAD_SIGNATURE,
            params=synchformer.SyncHeadParams.from_shapes,
            network=synchformer.SyncHead,
            ignored_prefixes=(synchformer.VISUAL_PREFIX,),
            suffixes=synchformer.KEY_SUFFIXES,
        ),
    )
}
