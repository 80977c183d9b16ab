"""One tensor of ours beside the golden one, and how far apart they may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.golden_files import relative_error

FLOAT32 = 1e-4  # relative L2 error
FLOAT16 = 5e-4  # of what the golden stores as float16
HALF = 0.05
SOUND = 1e-3  # of a whole job


def unequal(got: Tensor, expected: Tensor) -> float:
    """How many elements differ; all of them where the shapes do."""
    if got.shape != expected.shape:
        return float(expected.numel())
    return float((got != expected).sum())


def largest_difference(got: Tensor, expected: Tensor) -> float:
    """The largest absolute difference."""
    return (got.double() - expected.double()).abs().max().item()


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the parity table."""

    golden: str
    tensor: str
    error: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.error <= self.limit  # NaN is not

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "MISS"
        return (
            f"{self.golden:<38}{self.tensor:<26}{self.error:>10.2e}{self.limit:>10.0e}  {verdict}"
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What we computed, and what was to be computed."""

    tensor: str
    got: Tensor
    expected: Tensor
    limit: float = FLOAT32
    measure: Callable[[Tensor, Tensor], float] = relative_error

    def row(self, golden: str) -> Row:
        return Row(
            golden=golden,
            tensor=self.tensor,
            error=self.measure(self.got.cpu(), self.expected),
            limit=self.limit,
        )


def exact(tensor: str, got: object, expected: object) -> Comparison:
    """A comparison of integers, none of which may differ."""
    return Comparison(
        tensor=tensor,
        got=torch.as_tensor(got),
        expected=torch.as_tensor(expected),
        limit=0.0,
        measure=unequal,
    )
