"""Goldens: outputs of the published implementation on seeded weights, and those weights."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from mmaudio_core.checkpoint.synthetic import seeded_state_dict

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str, folder: Path = GOLDEN) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and (JSON-decoded) metadata of ``<folder>/<name>.safetensors``."""
    with safe_open(folder / f"{name}.safetensors", framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    return tensors, metadata


@lru_cache
def tiny_manifests() -> dict[str, dict[str, list[int]]]:
    """Key -> shape of every tiny checkpoint the goldens were made with."""
    return json.loads((GOLDEN / "tiny_manifests.json").read_text())


def tiny_weights(name: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """The seeded state dict of a tiny checkpoint, published key names."""
    return seeded_state_dict(tiny_manifests()[name], seed)


def relative_error(got: torch.Tensor, expected: torch.Tensor) -> float:
    """Relative L2 error of ``got``; raises when the shapes differ."""
    if got.shape != expected.shape:
        raise AssertionError(f"shape {tuple(got.shape)}, expected {tuple(expected.shape)}")
    got, expected = got.double(), expected.double()
    return ((got - expected).norm() / expected.norm()).item()
