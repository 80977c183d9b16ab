"""Networks of the published size with seeded weights, made when they are first used."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.feature_cache import FeatureCache
from mmaudio_core.models.flow import FlowNetwork, FlowParams
from mmaudio_core.providers import LoadedModel
from tests.parity.build import build, full_weights, manifest_name


@dataclass
class FullNetworks:
    """``Networks`` of a variant's full width, without any file."""

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
            self.placed[kind] = LoadedModel(
                network=build(kind, full_weights(name)),
                device=torch.device("cpu"),
                dtype=torch.float32,
                name=name,
            )
        return self.placed[kind]
