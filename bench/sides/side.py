"""What the worker asks of each side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from ..clock import Clock
from ..stages import Stage

Run = Callable[[Clock], Tensor | None]
"""One timed run of a stage; what it made, where the sides' results can be compared."""


class CannotRunError(Exception):
    """A side cannot do a stage; the message says why."""


class Side(Protocol):
    """One way to do the job."""

    def load(self, stages: Sequence[Stage]) -> None:
        """Load the networks that ``stages`` need, ready to run; this is timed."""
        ...

    def prepare(self, stage: Stage) -> Run:
        """Make a stage's inputs, which is not timed, and return what runs it.

        Raises:
            CannotRunError: this side cannot do that stage.
        """
        ...
