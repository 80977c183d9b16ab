"""Reading while something else computes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


def should_prefetch() -> bool:
    """A GPU leaves the CPU to the decoder; on a CPU they would only get in each other's way."""
    return torch.cuda.is_available()


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """The same items, the next one of which is made in a thread while one is used.

    What making one raises is raised here, in its place. Left early, it waits for the one in the
    making.
    """
    with ThreadPoolExecutor(1, "mmaudio-reading") as thread:
        rest = iter(items)
        coming = thread.submit(next, rest, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, rest, None)
            yield item
