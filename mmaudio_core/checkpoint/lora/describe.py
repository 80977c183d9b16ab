"""What a LoRA file is, as far as its header tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...errors import CheckpointError
from ...models.flow import FlowNetwork
from ..header import read_header
from ..published import VARIANTS
from ..stored import TensorInfo
from .keys import Role, split_key
from .load import match_lora
from .origin import check_origin, steps_of, variant_of


@dataclass(frozen=True, kw_only=True)
class LoraFacts:
    """A LoRA file.

    Attributes:
        ranks: of its matrices, each once.
        modules: how many matrices of a network it changes.
        values: how many numbers it holds.
        dtypes: of its tensors, each once.
        trained_for: the variant that it names, if it names one.
        steps: of its training, if it tells.
        fits: the published variants that it can be applied to.
        misfit: why it fits the variant that it names, or the default one; None if it fits any.
    """

    ranks: tuple[int, ...]
    modules: int
    values: int
    dtypes: tuple[str, ...]
    trained_for: str | None
    steps: int | None
    fits: tuple[str, ...]
    misfit: str | None


def describe_lora(path: Path) -> LoraFacts | None:
    """What a LoRA file is; None if it is none. No tensor is read.

    Raises:
        CheckpointError: the file cannot be read, is incomplete or damaged.
    """
    header = read_header(path)
    downs = [info for key, info in header.tensors.items() if split_key(key)[1] is Role.DOWN]
    if not downs:
        return None
    tensors = {key: _stand_in(key, info) for key, info in header.tensors.items()}
    misfits: dict[str, str | None] = {}
    for name, variant in VARIANTS.items():
        network = FlowNetwork(variant.params, device="meta")
        shapes = {key: tuple(weight.shape) for key, weight in network.state_dict().items()}
        try:
            check_origin(path.name, header.metadata, variant.params)
            match_lora(tensors, shapes, name=path.name)
            misfits[name] = None
        except CheckpointError as error:
            misfits[name] = str(error)
    fits = tuple(name for name, misfit in misfits.items() if misfit is None)
    trained_for = variant_of(header.metadata)
    infos = header.tensors.values()
    return LoraFacts(
        ranks=tuple(sorted({info.shape[0] for info in downs if info.shape})),
        modules=len(downs),
        values=sum(torch.Size(info.shape).numel() for info in infos),
        dtypes=tuple(sorted({str(info.dtype).removeprefix("torch.") for info in infos})),
        trained_for=trained_for,
        steps=steps_of(header.metadata),
        fits=fits,
        misfit=None if fits else misfits.get(trained_for or "") or next(iter(misfits.values())),
    )


def _stand_in(key: str, info: TensorInfo) -> Tensor:
    """A tensor of the same shape, without content but for a factor's."""
    if split_key(key)[1] is Role.ALPHA:
        return torch.ones(info.shape if torch.Size(info.shape).numel() == 1 else (2,))
    return torch.empty(info.shape, device="meta")
