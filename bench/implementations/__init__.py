"""The compared implementations: each runs the same stages its own way, in its own process."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import torch
from torch import Tensor

from ..clock import Clock
from ..inputs import Inputs
from ..stages import Stage

OURS, PUBLISHED = "ours", "published"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Run = Callable[[Clock], Tensor | None]
"""Runs a stage once; returns its result if that can be compared."""


class CannotRunError(Exception):
    """An implementation cannot run; the message says why."""


class Implementation(Protocol):
    """One way to do the job."""

    def load(self, stages: Collection[Stage]) -> None:
        """Load the networks that ``stages`` need. This is timed."""
        ...

    def prepare(self, stage: Stage) -> Run:
        """Create a stage's inputs, which is not timed, and return what runs it."""
        ...


def create(name: str, inputs: Inputs) -> Implementation:
    """Create an implementation, importing no other one.

    Raises:
        CannotRunError: the implementation cannot do ``inputs.job``.
    """
    if name == OURS:
        from .ours import Ours

        return Ours(inputs)
    from .published import Published

    return Published(inputs)
