"""LoRA files: which weights they change, and by what.

LoRA (Hu et al., arXiv 2106.09685) adds ``scale * up @ down`` to a weight, with scale ``alpha /
rank``; rsLoRA (arXiv 2312.03732) ``alpha / sqrt(rank)``. Trainers disagree on names only: a key is
what a network's module is called, behind some prefix, before the name of one of the two matrices.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...errors import CheckpointError
from ..header import read_header, read_tensors
from .settings import LoraSettings, read_settings

# Both ends of a key are compared with dots as underscores: some trainers know no others.
_PREFIXES = (
    "diffusion_model_",
    "base_model_model_",
    "lora_unet_",
    "lora_transformer_",
    "model_",
    "transformer_",
    "module_",
    "network_",
    "unet_",
    "state_dict_",
    "lora_weights_",
)
_TRAINING = ("optimizer", "scheduler")  # what else a trainer's checkpoint holds
_MATRIX = re.compile(
    r"(?P<module>.+?)[._](?:lora_(?P<letter>A|B|down|up)|lora(?:_linear_layer)?\.(?P<word>down|up))"
    r"(?:\.(?!(?:weight|bias)$)[^.]+)?(?:\.weight)?"
)
_ALPHA = re.compile(r"(?P<module>.+?)\.(?:lora_)?alpha")
_DOWN, _UP, _BY_ALPHA = "down", "up", "alpha"
_ROLES = {"A": _DOWN, "down": _DOWN, "B": _UP, "up": _UP}
# How queries, keys and values are called by those who train them apart.
_PARTS = ("{}", "to_{}", "{}_proj", "proj_{}", "w{}", "qkv_{}")
_KNOWN = (
    "known are lora_A/lora_B and lora_down/lora_up with or without alpha, on the network's own "
    "names (such as fused_blocks.0.attn.qkv or lora_unet_fused_blocks_0_attn_to_q)"
)
_OTHER_KINDS = {
    "hada_w": "LoHa",
    "lokr_w": "LoKr",
    "oft_": "OFT",
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "lora_mid": "LoCon in Tucker form",
}


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """A change of one weight: ``scale * up @ down``.

    Attributes:
        up: (out, rank).
        down: (rank, in), or (rank, in * kernel) for a convolution.
        scale: at strength 1.
    """

    up: Tensor
    down: Tensor
    scale: float

    def delta(self, shape: Sequence[int]) -> Tensor:
        """The change itself, float32, in the weight's shape."""
        return (self.scale * (self.up.float() @ self.down.float())).reshape(tuple(shape))


@dataclass(frozen=True)
class _Place:
    """Where a matrix belongs: a weight, or only its queries (0), keys (1) or values (2)."""

    key: str
    part: int | None = None


def load_lora(path: Path, shapes: Mapping[str, Sequence[int]]) -> dict[str, LowRank]:
    """Read a LoRA file for a network with weights of these ``shapes``.

    A PEFT folder's ``adapter_config.json`` beside the file is read too: alpha is only there.

    Returns:
        For each weight's key, such as ``fused_blocks.0.attn.qkv.weight``, its change.

    Raises:
        CheckpointError: no LoRA, one in an unknown format, for another network or another width.
    """
    header = read_header(path)
    tensors = read_tensors(path, {key: key for key in header.tensors})
    config = path.with_name("adapter_config.json")
    beside = config.read_text(encoding="utf-8") if config.is_file() else ""
    settings = read_settings({**header.metadata, "adapter_config": beside})
    return match_lora(tensors, shapes, settings, name=path.name)


def match_lora(
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, Sequence[int]],
    settings: LoraSettings | None = None,
    *,
    name: str = "the LoRA",
) -> dict[str, LowRank]:
    """Find the weight of each matrix; see ``load_lora``. ``name`` is the file's, for errors."""
    table = _places(shapes)
    found: dict[_Place, dict[str, Tensor]] = {}
    modules: dict[_Place, str] = {}
    unknown: list[str] = []
    for key, tensor in tensors.items():
        if key.startswith(_TRAINING):
            continue
        module, role = _split(key)
        place = _look_up(module, table)
        usable = tensor.numel() == 1 if role == _BY_ALPHA else tensor.ndim >= 2
        if place is None or not usable or role in found.get(place, {}):
            unknown.append(key)
            continue
        found.setdefault(place, {})[role] = tensor
        modules[place] = module
    unknown += [
        f"{modules[place]} (without its other matrix)"
        for place, roles in found.items()
        if not {_DOWN, _UP} <= roles.keys()
    ]
    if unknown or not found:
        raise CheckpointError(_unmatched(name, unknown, tensors))

    settings = settings or LoraSettings()
    changes: dict[str, dict[int | None, LowRank]] = {}
    for place, roles in found.items():
        change = _low_rank(roles, settings, modules[place])
        _check_shape(name, place, change, shapes[place.key])
        changes.setdefault(place.key, {})[place.part] = change
    return {key: _fuse(parts, shapes[key][0]) for key, parts in changes.items()}


def _places(shapes: Mapping[str, Sequence[int]]) -> dict[str, _Place]:
    """Everything a matrix may be called, in underscores."""
    table: dict[str, _Place] = {}
    for key, shape in shapes.items():
        if not key.endswith(".weight") or len(shape) < 2:
            continue
        flat = key.removesuffix(".weight").replace(".", "_")
        table[flat] = _Place(key)
        if flat.endswith("attn_qkv"):
            stem = flat.removesuffix("qkv")
            for part, letter in enumerate("qkv"):
                for form in _PARTS:
                    table[stem + form.format(letter)] = _Place(key, part)
    return table


def _split(key: str) -> tuple[str, str]:
    """A key's module and role; the role is empty where it is no LoRA's."""
    if (match := _MATRIX.fullmatch(key)) is not None:
        return match["module"], _ROLES[match["letter"] or match["word"]]
    if (match := _ALPHA.fullmatch(key)) is not None:
        return match["module"], _BY_ALPHA
    return "", ""


def _look_up(module: str, table: Mapping[str, _Place]) -> _Place | None:
    flat = module.replace(".", "_")
    while flat not in table:
        prefix = next((p for p in _PREFIXES if flat.startswith(p)), None)
        if prefix is None:
            return None
        flat = flat.removeprefix(prefix)
    return table[flat]


def _low_rank(roles: Mapping[str, Tensor], settings: LoraSettings, module: str) -> LowRank:
    up, down = roles[_UP].flatten(1), roles[_DOWN].flatten(1)
    rank = down.shape[0]
    if _BY_ALPHA in roles:
        alpha = float(roles[_BY_ALPHA])
    else:
        alpha = settings.alpha_of(module, default=rank)
    scale = alpha / (math.sqrt(rank) if settings.rank_stabilised else rank)
    return LowRank(up=up, down=down, scale=scale)


def _check_shape(name: str, place: _Place, change: LowRank, shape: Sequence[int]) -> None:
    wanted = (shape[0] if place.part is None else shape[0] // 3, math.prod(shape[1:]))
    got = (change.up.shape[0], change.down.shape[1])
    if got != wanted or change.up.shape[1] != change.down.shape[0]:
        ranks = {change.up.shape[1], change.down.shape[0]}
        raise CheckpointError(
            f"{name} changes {place.key} by a matrix of {got[0]} x {got[1]} "
            f"(rank {' and '.join(map(str, sorted(ranks)))}); {wanted[0]} x {wanted[1]} was "
            "expected. It was made for another variant of the model: load that one, or choose "
            "another LoRA"
        )


def _fuse(parts: Mapping[int | None, LowRank], rows: int) -> LowRank:
    """One change of a weight; queries, keys and values go to their rows of the fused one.

    Those rows are (head, channel, 3): published networks interleave the three.
    """
    if list(parts) == [None]:
        return parts[None]
    ups: list[Tensor] = []
    for part, change in parts.items():
        scaled = change.up.float() * change.scale
        if part is not None:
            spread = scaled.new_zeros(rows, scaled.shape[1])
            spread[part::3] = scaled
            scaled = spread
        ups.append(scaled)
    downs = [change.down.float() for change in parts.values()]
    return LowRank(up=torch.cat(ups, dim=1), down=torch.cat(downs), scale=1.0)


def _unmatched(name: str, unknown: Sequence[str], keys: Mapping[str, object]) -> str:
    if not any(_split(key)[1] for key in keys):
        kinds = {kind for mark, kind in _OTHER_KINDS.items() if any(mark in k for k in keys)}
        what = " and ".join(sorted(kinds)) or "no LoRA"
        return f"{name} holds {what} ({_some(list(keys))}); {_KNOWN}. Choose another file"
    kinds = {kind for mark, kind in _OTHER_KINDS.items() if any(mark in k for k in unknown)}
    note = f" (parts of {' and '.join(sorted(kinds))})" if kinds else ""
    return (
        f"{len(unknown)} keys of {name}, which has {len(keys)}, match nothing in this network"
        f"{note}: {_some(unknown)}; {_KNOWN}. It may be for another model or for a text encoder: "
        "choose another LoRA, or convert its keys"
    )


def _some(keys: Sequence[str], count: int = 4) -> str:
    more = f" and {len(keys) - count} more" if len(keys) > count else ""
    return ", ".join(keys[:count]) + more
