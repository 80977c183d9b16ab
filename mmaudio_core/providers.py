"""Providers of the networks that the stages run, and the check of their results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from .checkpoint import Bundle, PartKind, fingerprint_part, load_part
from .errors import NumericsError, Problem
from .feature_cache import FeatureCache
from .models.flow import FlowParams


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A network ready to run.

    Attributes:
        device: device to move inputs to.
        dtype: dtype of the arithmetic, to cast inputs to.
        name: name of the weights file, for messages.
    """

    network: nn.Module
    device: torch.device
    dtype: torch.dtype
    name: str


class ModelProvider(Protocol):
    """Source of a stage's networks; a host that manages memory implements its own."""

    @property
    def params(self) -> FlowParams:
        """Architecture of the flow network, which decides all lengths."""
        ...

    @property
    def feature_cache(self) -> FeatureCache:
        """Where encoders keep features, and look for them first."""
        ...

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        """Dtype of a network's arithmetic, known before it is loaded."""
        ...

    def fingerprint(self, kind: PartKind) -> str:
        """Identifies what a network computes: its weights and the precision."""
        ...

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        """Load the network to its device, with ``activation_bytes`` free for its activations.

        This may evict networks acquired before, so hold a network only while using it.

        Raises:
            NoSyncHeadError: the synchronisation head was asked for, and there is none.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class CachedModels:
    """Provider that loads a bundle's networks at first use and keeps them on one device."""

    bundle: Bundle
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    feature_cache: FeatureCache = field(default_factory=FeatureCache)
    _models: dict[PartKind, LoadedModel] = field(default_factory=dict[PartKind, LoadedModel])

    @property
    def params(self) -> FlowParams:
        return self.bundle.params

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        return self.dtype

    def fingerprint(self, kind: PartKind) -> str:
        return f"{fingerprint_part(self.bundle.part(kind))}:{self.dtype}"

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        if kind not in self._models:
            part = self.bundle.part(kind)
            self._models[kind] = LoadedModel(
                network=load_part(part, dtype=self.dtype, device=self.device),
                device=self.device,
                dtype=self.dtype,
                name=part.path.name,
            )
        return self._models[kind]


def fast_bf16_cpu() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware: AVX512-BF16 or AMX."""
    probes = (
        "_is_avx512_bf16_supported",
        "_is_amx_tile_supported",
    )  # absent from some versions of torch
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)


def check_finite(result: Tensor, stage: str, model: LoadedModel) -> Tensor:
    """Return ``result`` if all of it is finite.

    Raises:
        NumericsError: NaN or infinity; the problem is the weights if they are not finite
            themselves, else the numerics.
    """
    if bool(torch.isfinite(result).all()):
        return result
    for key, weight in model.network.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise NumericsError(
                f"the {stage} produced NaN or infinite values, because the weights in {model.name} "
                f"contain some ({key})",
                problem=Problem.WRONG_WEIGHTS,
            )
    raise NumericsError(
        f"the {stage} produced NaN or infinite values in {str(model.dtype).removeprefix('torch.')},"
        f" although the weights in {model.name} are finite",
        problem=Problem.NUMERICS,
    )
