"""Producing items in a worker thread while the previous ones are used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """Yield items, prefetching the next one in a worker thread.

    An error of the producer surfaces in place of its item. If the consumer stops early, it waits
    for the item that is being produced.
    """
    with ThreadPoolExecutor(1, "mmaudio-reading") as thread:
        iterator = iter(items)
        upcoming = thread.submit(next, iterator, None)
        while (item := upcoming.result()) is not None:
            upcoming = thread.submit(next, iterator, None)
            yield item
