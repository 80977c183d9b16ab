"""Where a job's networks come from, and the check of what comes out of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from .checkpoint import Bundle, PartKind, load_part
from .errors import NumericsError
from .models.flow import FlowParams


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A network ready to run.

    Attributes:
        device: where inputs go.
        dtype: of its arithmetic, which inputs are cast to.
        name: of the file it came from, for messages.
    """

    network: nn.Module
    device: torch.device
    dtype: torch.dtype
    name: str


class ModelProvider(Protocol):
    """Gives a stage its network. A host that manages memory implements this."""

    @property
    def params(self) -> FlowParams:
        """Architecture of the flow network, from which all lengths follow."""
        ...

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        """Dtype of a network's arithmetic, known before it is loaded."""
        ...

    def acquire(self, kind: PartKind, activations: int) -> LoadedModel:
        """The network, on its device, with room for ``activations`` bytes of its work.

        A network used before may be moved away: hold it only as long as it is used.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class CachedModels:
    """A bundle's networks, loaded at first use and kept on one device."""

    bundle: Bundle
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    _placed: dict[PartKind, LoadedModel] = field(default_factory=dict[PartKind, LoadedModel])

    @property
    def params(self) -> FlowParams:
        return self.bundle.params

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        return self.dtype

    def acquire(self, kind: PartKind, activations: int) -> LoadedModel:
        if kind not in self._placed:
            part = self.bundle.parts[kind]
            self._placed[kind] = LoadedModel(
                network=load_part(part, dtype=self.dtype, device=self.device),
                device=self.device,
                dtype=self.dtype,
                name=part.path.name,
            )
        return self._placed[kind]


def fast_bf16_cpu() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware: AVX512-BF16 or AMX."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # as torch has them
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)


def check_finite(result: Tensor, stage: str, placed: LoadedModel) -> Tensor:
    """``result``, where it is finite.

    Raises:
        NumericsError: NaN or infinity; says whether the weights or the precision are at fault.
    """
    if bool(torch.isfinite(result).all()):
        return result
    broken = next(
        (k for k, p in placed.network.named_parameters() if not bool(torch.isfinite(p).all())), None
    )
    if broken is not None:
        raise NumericsError(
            f"the {stage} made NaN or infinite values, because the weights in {placed.name} hold "
            f"some themselves ({broken}): get that file again, or choose another"
        )
    cure = "report it with the input" if placed.dtype == torch.float32 else "choose precision fp32"
    raise NumericsError(
        f"the {stage} made NaN or infinite values in {str(placed.dtype).removeprefix('torch.')} "
        f"although the weights in {placed.name} are finite; finite values were expected: {cure}"
    )
