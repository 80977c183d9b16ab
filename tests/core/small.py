"""Tiny models for tests: weights in files, networks from memory, callbacks that cancel."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.feature_cache import FeatureCache
from mmaudio_core.models.flow import FlowNetwork, FlowParams
from mmaudio_core.providers import LoadedModel
from tests.golden_files import GOLDEN, tiny_weights
from tests.parity.build import build, tiny_files
from tests.parity.comparison import Row
from tests.parity.table import rows


def assert_rows(name: str, dtype: torch.dtype = torch.float32, *, until: str = "") -> None:
    """Every row of a golden is within its limit; the last one looked at is ``until``."""
    seen: list[Row] = []
    for row in rows(name, dtype=dtype):
        seen.append(row)
        assert row.ok, str(row)
        if row.tensor == until:
            break
    assert seen


@lru_cache
def tiny_flow(name: str = "dit_small_16k", dtype: torch.dtype = torch.float32) -> FlowNetwork:
    network = build(PartKind.FLOW, tiny_weights(name), dtype)
    assert isinstance(network, FlowNetwork)
    return network


@dataclass
class MemoryNetworks:
    """``Networks`` made of tiny seeded weights, without any file."""

    variant: str = "small_16k"
    dtype: torch.dtype = torch.float32
    placed: dict[PartKind, LoadedModel] = field(default_factory=dict)
    feature_cache: FeatureCache = field(default_factory=lambda: FeatureCache(0))

    @property
    def params(self) -> FlowParams:
        flow = self.acquire(PartKind.FLOW, 0).network
        assert isinstance(flow, FlowNetwork)
        return flow.params

    def fingerprint(self, kind: PartKind) -> str:
        return f"{self.variant}:{kind.value}:{self.dtype}"

    def compute_dtype(self, kind: PartKind) -> torch.dtype:
        return self.dtype

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        if kind not in self.placed:
            network = build(kind, tiny_files(self.variant)[kind], self.dtype)
            self.placed[kind] = LoadedModel(
                network=network,
                device=torch.device("cpu"),
                dtype=self.dtype,
                name=f"{kind.value}.bin",
            )
        return self.placed[kind]


def write_header_only(path: Path, name: str) -> Path:
    """A safetensors file of a published network: its header, then a hole instead of tensors."""
    header: dict[str, object] = {}
    end = 0
    manifest = GOLDEN / "manifests" / f"{name}.json"
    for key, shape in json.loads(manifest.read_text()).items():
        size = 4
        for length in shape:
            size *= length
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path


class Cancelled(Exception):
    """What a cancelling callback raises."""


@dataclass
class CancelAt:
    """A progress callback that raises at its ``calls``-th call in ``stage``."""

    stage: str
    calls: int
    seen: int = 0

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        if stage == self.stage:
            self.seen += 1
            if self.seen == self.calls:
                raise Cancelled


@contextmanager
def counted(network: nn.Module) -> Iterator[list[nn.Module]]:
    """The steps of a network that ran to their end, while the context is open."""
    ran: list[nn.Module] = []
    handles = [
        step.register_forward_hook(lambda module, _args, _out: ran.append(module))
        for step in network.interruptible_modules()  # pyright: ignore
    ]
    try:
        yield ran
    finally:
        for handle in handles:
            handle.remove()


def save_torch(path: Path, state: Mapping[str, object], *, old: bool = False) -> Path:
    """A PyTorch checkpoint, as a zip or as it was before 1.6."""
    torch.save(dict(state), path, _use_new_zipfile_serialization=not old)
    return path


def to(state: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {key: value.to(dtype) for key, value in state.items()}
