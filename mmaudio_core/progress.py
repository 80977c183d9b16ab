"""Progress and cancellation, as one callback.

A long-running function takes a ``Progress``. It is called often (at least once a transformer
block, a batch of frames, a vocoder stage), and whatever it raises passes straight through: that is
how a caller cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol, cast

from torch import nn


class Progress(Protocol):
    """``progress(stage, done, total)``: stage is a short noun, done counts up to total."""

    def __call__(self, stage: str, done: int, total: int, /) -> None: ...


def no_progress(stage: str, done: int, total: int, /) -> None:
    """The progress callback that does nothing."""


class Steps(Protocol):
    """A network that can say where a run through it may be interrupted."""

    def steps(self) -> list[nn.Module]:
        """The modules that run one after another, each a fraction of the whole."""
        ...


@contextmanager
def tick_on_forward(network: nn.Module, tick: Callable[[], None]) -> Generator[None, None, None]:
    """Call ``tick`` before each of ``network.steps()`` runs, while the context is open."""

    def hook(_module: nn.Module, _args: object) -> None:
        tick()

    handles: list[Any] = [
        step.register_forward_pre_hook(hook)  # pyright: ignore[reportUnknownMemberType]
        for step in cast(Steps, network).steps()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
