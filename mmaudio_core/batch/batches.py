"""Which items are sampled together.

It follows from the list of items alone. What is done already, what fails and what comes first
changes nothing: an item keeps its place in a batch of the same size, and so its sound to the bit.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from ..sampling.windows import WindowParams
from .item import Item

_SINGLE_PASS = WindowParams().single_pass


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Items that are sampled together, all of one length, number of takes, steps and cfg."""

    items: tuple[Item, ...]


def plan_batches(items: Iterable[Item], size: int) -> Iterator[Batch]:
    """Group items that are alike, in their order.

    Items to the end of their video are batches of their own, since their length is not known
    before they are read; so are those that are sampled in windows, whose borders follow the
    picture.

    Args:
        items: all of the run.
        size: most items of a batch.
    """
    waiting: dict[Hashable, list[Item]] = {}
    for item in items:
        key = _key(item)
        if size <= 1 or key is None:
            yield Batch(items=(item,))
            continue
        group = waiting.setdefault(key, [])
        group.append(item)
        if len(group) == size:
            yield Batch(items=tuple(waiting.pop(key)))
    for group in waiting.values():
        yield Batch(items=tuple(group))


def _key(item: Item) -> Hashable | None:
    options = item.options
    if not 0 < options.duration <= _SINGLE_PASS:
        return None
    return (
        item.video is None,
        options.duration,
        len(options.seeds),
        options.steps,
        options.cfg,
        options.mask_away_clip,
    )
