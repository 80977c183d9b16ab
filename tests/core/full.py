"""Networks of the published width with seeded weights, made when they are first used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.feature_cache import FeatureCache
from mmaudio_core.models.flow import FlowNetwork, FlowParams
from mmaudio_core.providers import LoadedModel
from tests.parity.build import build, full_weights, manifest_name

_BLOCK = re.compile(r"(joint|fused)_blocks\.(\d+)\.")


def half_as_deep(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A flow network's last half of joint blocks, of which the last is another, and first fused."""
    blocks = [found.groups() for key in state if (found := _BLOCK.match(key))]
    half = {kind: (1 + max(int(n) for k, n in blocks if k == kind)) // 2 for kind, _ in blocks}
    kept: dict[str, Tensor] = {}
    for key, value in state.items():
        if (found := _BLOCK.match(key)) is None:
            kept[key] = value
            continue
        kind, number = found[1], int(found[2])
        number -= half[kind] if kind == "joint" else 0
        if 0 <= number < half[kind]:
            kept[f"{kind}_blocks.{number}.{key[found.end() :]}"] = value
    return kept


@dataclass
class FullNetworks:
    """``Networks`` of a variant's full width, without any file; its flow network half as deep."""

    variant: str = "small_16k"
    placed: dict[PartKind, LoadedModel] = field(default_factory=dict)
    feature_cache: FeatureCache = field(default_factory=lambda: FeatureCache(0))

    @property
    def params(self) -> FlowParams:
        flow = self.acquire(PartKind.FLOW, 0).network
        assert isinstance(flow, FlowNetwork)
        return flow.params

    def fingerprint(self, kind: PartKind) -> str:
        return f"{self.variant}:{kind.value}"

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        return torch.float32

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        if kind not in self.placed:
            name = manifest_name(kind, self.variant)
            state = full_weights(name)
            if kind is PartKind.FLOW:
                state = half_as_deep(state)
            self.placed[kind] = LoadedModel(
                network=build(kind, state),
                device=torch.device("cpu"),
                dtype=torch.float32,
                name=name,
            )
        return self.placed[kind]
