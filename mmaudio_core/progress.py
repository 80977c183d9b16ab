"""Progress and cancellation through one callback.

Long-running functions take a ``Progress`` and call it often: at least once per transformer block,
batch of frames or vocoder stage. Exceptions raised by the callback propagate, so a caller cancels
by raising one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol, cast

from torch import nn


class Progress(Protocol):
    """``progress(stage, done, total)``: a short stage name; ``done`` counts up to ``total``."""

    def __call__(self, stage: str, done: int, total: int, /) -> None: ...


def no_progress(stage: str, done: int, total: int, /) -> None:
    """Progress callback that does nothing."""


class Interruptible(Protocol):
    """A network that can be interrupted between some of its modules."""

    def interruptible_modules(self) -> list[nn.Module]:
        """Modules that run one after another; an interrupt is noticed before each of them."""
        ...


@contextmanager
def tick_on_forward(network: nn.Module, tick: Callable[[], None]) -> Generator[None, None, None]:
    """While open, call ``tick`` before each of ``network.interruptible_modules()`` runs."""

    def hook(_module: nn.Module, _args: object) -> None:
        tick()

    handles: list[Any] = [
        module.register_forward_pre_hook(hook)  # pyright: ignore[reportUnknownMemberType]
        for module in cast(Interruptible, network).interruptible_modules()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
