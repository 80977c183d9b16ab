"""How each part is stored: what gives it away, what to leave out, how keys become ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..models import bigvgan, clip, flow, synchformer, vae
from ..models.bigvgan.activation import lowpass
from .kinds import PartKind

Params = (
    flow.FlowParams
    | vae.VAEParams
    | bigvgan.BigVGANParams
    | clip.CLIPParams
    | synchformer.SynchformerParams
)
State = Mapping[str, Tensor]

# Weight norm's two tensors, in both spellings; the direction takes the place of the weight.
_DIRECTIONS = (".parametrizations.weight.original1", ".weight_v")
_NORMS = (".parametrizations.weight.original0", ".weight_g")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One kind of network's published layout.

    Attributes:
        signature: the end of a key that no other network has; what precedes it is the prefix
            under which the file nests this network.
        ignored: keys, and beginnings of keys, that are not used here.
        suffixes: ends of keys that are spelled differently here.
        fold: turns stored tensors into the ones the network computes with.
        float32: ends of keys whose tensors stay float32 whatever the network's dtype.
    """

    kind: PartKind
    signature: str
    params: Callable[[Mapping[str, Sequence[int]]], Params]
    network: Callable[..., nn.Module]
    ignored: tuple[str, ...] = ()
    suffixes: Mapping[str, str] = field(default_factory=dict[str, str])
    fold: Callable[[State], State] = dict
    float32: tuple[str, ...] = ()

    def dtype_of(self, key: str, dtype: torch.dtype) -> torch.dtype:
        """The dtype one of our keys has in a network of ``dtype``."""
        return torch.float32 if key.endswith(self.float32) else dtype

    def prefixes(self, keys: Mapping[str, Any]) -> list[str]:
        """Where this network is nested in a file with these keys; the plainest first."""
        found = [
            key[: -len(self.signature)]
            for key in keys
            if key.endswith(self.signature)
            and (len(key) == len(self.signature) or key[-len(self.signature) - 1] == ".")
        ]
        return sorted(found, key=lambda prefix: (len(prefix), prefix))

    def rename(self, keys: Mapping[str, Any], prefix: str) -> dict[str, str]:
        """Our key -> stored key, of the keys under ``prefix`` that are used."""
        renamed: dict[str, str] = {}
        for stored in keys:
            if not stored.startswith(prefix):
                continue
            key = stored[len(prefix) :]
            if key.startswith(self.ignored):
                continue
            for end, ours in self.suffixes.items():
                if key.endswith(end):
                    key = key[: -len(end)] + ours
            renamed[key] = stored
        return renamed

    def published_key(self, key: str) -> str:
        """The published spelling of one of our keys."""
        for end, ours in self.suffixes.items():
            if key.endswith(ours):
                return key[: -len(ours)] + end
        return key


def plain_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Shapes with weight norm's pairs replaced by the weights they make."""
    plain: dict[str, tuple[int, ...]] = {}
    for key, shape in shapes.items():
        if key.endswith(_NORMS):
            continue
        for end in _DIRECTIONS:
            if key.endswith(end):
                key = key[: -len(end)] + ".weight"  # noqa: PLW2901
        plain[key] = shape
    return plain


def fold_weight_norm(state: State) -> dict[str, Tensor]:
    """``w = g v / ||v||``, the norm over all dimensions but the first, in float32.

    Raises:
        KeyError: a pair is not complete.
        ValueError: a pair's shapes do not fit.
    """
    folded: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if key.endswith(_NORMS):
            continue
        for direction, norm in zip(_DIRECTIONS, _NORMS, strict=True):
            if key.endswith(direction):
                stem = key[: -len(direction)]
                v, g = tensor.float(), state[stem + norm].float()
                if g.shape != (*v.shape[:1], *(1 for _ in v.shape[1:])):
                    raise ValueError(
                        f"{stem + norm} has shape {tuple(g.shape)} beside {tuple(v.shape)}"
                    )
                length = v.square().sum(dim=tuple(range(1, v.ndim)), keepdim=True).sqrt()
                folded[stem + ".weight"] = g * v / length
                break
        else:
            folded[key] = tensor
    return folded


def fold_vocoder(state: State) -> dict[str, Tensor]:
    """Weight norm folded, and the filters that a half precision file rounds made exact again."""
    return {
        key: lowpass() if key.endswith(".filter") and tensor.dtype != torch.float32 else tensor
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
            ignored=(*synchformer.IGNORED_KEYS, *synchformer.IGNORED_PREFIXES),
            suffixes=synchformer.KEY_SUFFIXES,
        ),
    )
}
