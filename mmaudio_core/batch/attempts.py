"""How often an item was begun and not ended: by a process that crashed, or was killed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from .item import STATE, Item
from .store import Store

CRASHES = 3
"""After so many an item is done alone; after one more, not again."""


@dataclass(frozen=True)
class Attempts:
    """A small file per item in hand, deleted when it ends; its lock must be held.

    Args:
        store: of the results.
    """

    store: Store

    def count(self, item: Item) -> int:
        """How often the item was begun and not ended."""
        content = self.store.read(_name(item))
        if content is None:
            return 0
        try:
            return int(json.loads(content)["count"])
        except (ValueError, TypeError, KeyError):  # half of a file system's repair
            return 1

    def begin(self, item: Item) -> int:
        """The item is being worked on; returns how often it was begun and not ended before."""
        count = self.count(item)
        self._write(item, count + 1)
        return count

    def settle(self, item: Item, count: int) -> None:
        """A stage of the item has ended well: forget that it was begun, but not what was before.

        Args:
            count: as ``begin`` returned it.
        """
        if count:
            self._write(item, count)
        else:
            self.end(item)

    def end(self, item: Item) -> None:
        """The item has a result, or failed in a way that is known, or the run was interrupted."""
        self.store.delete(_name(item))

    def _write(self, item: Item, count: int) -> None:
        entry = {"out": item.out, "count": count}
        self.store.write(_name(item), json.dumps(entry).encode(errors="backslashreplace"))


def _name(item: Item) -> str:
    digest = hashlib.blake2b(item.out.encode(errors="backslashreplace"), digest_size=12).hexdigest()
    return f"{STATE}/attempts/{digest}.json"
