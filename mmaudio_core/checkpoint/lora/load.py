"""Load a LoRA file as low-rank changes of a network's weights.

LoRA (Hu et al., arXiv 2106.09685) adds ``scale * up @ down`` to a weight, with scale ``alpha /
rank``; rsLoRA (arXiv 2312.03732) has ``alpha / sqrt(rank)``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...errors import CheckpointError, Problem
from ...models.flow import FlowParams
from ..header import read_header, read_tensors
from .keys import (
    Role,
    Target,
    find_target,
    find_whole,
    other_methods,
    split_key,
    targets_by_name,
)
from .origin import check_origin
from .settings import LoraSettings, read_settings

_TRAINER_STATE = ("optimizer", "scheduler")  # other entries of a trainer's checkpoint
_EXPECTED = (
    "expected lora_A/lora_B or lora_down/lora_up, with or without alpha, or diff, on the network's "
    "own names (such as fused_blocks.0.attn.qkv or lora_unet_fused_blocks_0_attn_to_q)"
)


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """The change of one weight: ``scale * up @ down``.

    Attributes:
        up: (out, rank).
        down: (rank, in), or (rank, in * kernel) for a convolution.
        scale: factor at strength 1.
    """

    up: Tensor
    down: Tensor
    scale: float

    def delta(self, shape: Sequence[int]) -> Tensor:
        """The change as one float32 tensor of the weight's shape."""
        return (self.scale * (self.up.float() @ self.down.float())).reshape(tuple(shape))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The change of one weight or bias in full, in its shape."""

    value: Tensor

    def delta(self, shape: Sequence[int]) -> Tensor:
        """The change as one float32 tensor of the weight's shape."""
        return self.value.float().reshape(tuple(shape))


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """A weight to use instead, at any strength but 0."""

    value: Tensor


Change = LowRank | Difference | Replacement


def load_lora(
    path: Path, shapes: Mapping[str, Sequence[int]], params: FlowParams | None = None
) -> dict[str, Change]:
    """Read a LoRA file for a network with weights of these ``shapes``.

    ``params`` are the network's, to compare with what the file says of its origin. PEFT's
    ``adapter_config.json`` next to the file is read too, as only it has the alpha.

    Returns:
        The change of each weight, by the weight's key, such as ``fused_blocks.0.attn.qkv.weight``.

    Raises:
        CheckpointError: the file is no LoRA, in an unknown format, or for another network, or its
            values are not finite.
    """
    header = read_header(path)
    if params is not None:
        check_origin(path.name, header.metadata, params)
    tensors = read_tensors(path, {key: key for key in header.tensors})
    config = path.with_name("adapter_config.json")
    adapter = config.read_text(encoding="utf-8") if config.is_file() else ""
    settings = read_settings({**header.metadata, "adapter_config": adapter})
    return match_lora(tensors, shapes, settings, name=path.name)


def match_lora(
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, Sequence[int]],
    settings: LoraSettings | None = None,
    *,
    name: str = "the LoRA",
) -> dict[str, Change]:
    """``load_lora`` on tensors in memory; ``name`` is the file's, for errors."""
    settings = settings or LoraSettings()
    targets = targets_by_name(shapes)
    found: dict[Target, dict[Role, Tensor]] = {}
    modules: dict[Target, str] = {}
    unmatched: list[str] = []
    whole: dict[str, Change] = {}
    for key, tensor in tensors.items():
        if key.startswith(_TRAINER_STATE):
            continue
        has_values = tensor.is_floating_point() and not tensor.is_meta
        if has_values and not bool(torch.isfinite(tensor.float()).all()):
            raise CheckpointError(
                f"{name} holds NaN or infinite values ({key})", Problem.LORA_NOT_FINITE
            )
        module, role = split_key(key)
        if role is not None and role.whole:
            weight = find_whole(module, role, shapes)
            if weight is None or weight in whole:
                unmatched.append(key)
                continue
            _check_whole_shape(name, weight, tensor, shapes[weight])
            change = Replacement if role is Role.REPLACEMENT else Difference
            whole[weight] = change(value=tensor)
            continue
        target = find_target(module, targets)
        valid = tensor.numel() == 1 if role is Role.ALPHA else tensor.ndim >= 2
        if role is None or target is None or not valid or role in found.get(target, {}):
            unmatched.append(key)
            continue
        found.setdefault(target, {})[role] = tensor
        modules[target] = module
    unmatched += [
        f"{modules[target]} (without its other matrix)"
        for target, roles in found.items()
        if not {Role.DOWN, Role.UP} <= roles.keys()
    ]
    if unmatched or not (found or whole):
        raise CheckpointError(_describe_unmatched(name, unmatched, tensors))

    changes: dict[str, dict[int | None, LowRank]] = {}
    for target, roles in found.items():
        change = _low_rank(roles, settings, modules[target])
        _check_shape(name, target, change, shapes[target.key])
        changes.setdefault(target.key, {})[target.projection] = change
    if both := sorted(changes.keys() & whole.keys()):
        raise CheckpointError(f"{name} changes {_shorten(both)} twice, as a LoRA and in full")
    return whole | {key: _fuse(parts, shapes[key][0]) for key, parts in changes.items()}


def _check_whole_shape(name: str, key: str, tensor: Tensor, shape: Sequence[int]) -> None:
    if tensor.numel() != math.prod(shape):
        raise CheckpointError(
            f"{name} changes {key} by a tensor of shape {tuple(tensor.shape)}, expected "
            f"{tuple(shape)}; it was made for another variant of the model"
        )


def _low_rank(roles: Mapping[Role, Tensor], settings: LoraSettings, module: str) -> LowRank:
    up, down = roles[Role.UP].flatten(1), roles[Role.DOWN].flatten(1)
    rank = down.shape[0]
    if Role.ALPHA in roles:
        alpha = float(roles[Role.ALPHA])
    else:
        alpha = settings.alpha_of(module, default=rank)
    scale = alpha / (math.sqrt(rank) if settings.rank_stabilized else rank)
    return LowRank(up=up, down=down, scale=scale)


def _check_shape(name: str, target: Target, change: LowRank, shape: Sequence[int]) -> None:
    rows = shape[0] if target.projection is None else shape[0] // 3
    expected = (rows, math.prod(shape[1:]))
    got = (change.up.shape[0], change.down.shape[1])
    ranks = sorted({change.up.shape[1], change.down.shape[0]})
    if got != expected or len(ranks) > 1:
        raise CheckpointError(
            f"{name} changes {target.key} by a matrix of {got[0]} x {got[1]} "
            f"(rank {' and '.join(map(str, ranks))}), expected {expected[0]} x {expected[1]}; "
            "it was made for another variant of the model"
        )


def _fuse(parts: Mapping[int | None, LowRank], rows: int) -> LowRank:
    """One change of a weight from those of the whole and of its queries, keys and values.

    The rows of a fused weight are (head, channel, 3): published networks interleave the three.
    """
    if list(parts) == [None]:
        return parts[None]
    ups: list[Tensor] = []
    for projection, change in parts.items():
        up = change.up.float() * change.scale
        if projection is not None:
            interleaved = up.new_zeros(rows, up.shape[1])
            interleaved[projection::3] = up
            up = interleaved
        ups.append(up)
    downs = [change.down.float() for change in parts.values()]
    return LowRank(up=torch.cat(ups, dim=1), down=torch.cat(downs), scale=1.0)


def _describe_unmatched(name: str, unmatched: Sequence[str], keys: Collection[str]) -> str:
    if not any(split_key(key)[1] for key in keys):
        method = other_methods(keys) or "no LoRA"
        return f"{name} holds {method} ({_shorten(list(keys))}); {_EXPECTED}"
    methods = other_methods(unmatched)
    note = f" (parts of {methods})" if methods else ""
    return (
        f"{len(unmatched)} of {len(keys)} keys in {name} match nothing in this network"
        f"{note}: {_shorten(unmatched)}; {_EXPECTED}. It may be for another model or for a text "
        "encoder"
    )


def _shorten(keys: Sequence[str], count: int = 4) -> str:
    more = f" and {len(keys) - count} more" if len(keys) > count else ""
    return ", ".join(keys[:count]) + more
