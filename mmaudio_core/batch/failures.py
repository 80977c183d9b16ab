"""``failures.jsonl``: the items that have no result, and why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from .item import Item
from .stages import Failure
from .store import Store, store_failure

FILE = "failures.jsonl"


@dataclass(frozen=True)
class Failures:
    """The file of failures in a store; the last line of an item is the one that holds.

    Args:
        store: of the results.
    """

    store: Store

    def add(self, item: Item, failure: Failure) -> None:
        """Append a line."""
        entry = {
            "out": item.out,
            "video": item.video,
            "line": item.line,
            "stage": failure.stage,
            "reason": failure.reason,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "trace": failure.trace,
        }
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        _append(self.store, line.encode(errors="backslashreplace"))

    def lines(self) -> list[dict[str, Any]]:
        """All that can be read."""
        content = self.store.read(FILE) or b""
        entries: list[dict[str, Any]] = []
        for line in content.decode(errors="replace").split("\n"):
            with suppress(ValueError):  # cut off by a kill
                entry: object = json.loads(line)
                if isinstance(entry, dict) and "out" in entry:
                    entries.append(cast(dict[str, Any], entry))
        return entries

    def drop(self, is_done: Callable[[str], bool]) -> None:
        """Keep the last line of each item that is not done; no other process may append now."""
        entries = self.lines()
        last = {entry["out"]: entry for entry in entries}
        kept = [entry for out, entry in last.items() if not is_done(out)]
        if len(kept) == len(entries):
            return
        if not kept:
            self.store.delete(FILE)
            return
        text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in kept)
        self.store.write(FILE, text.encode(errors="backslashreplace"))


def _append(store: Store, line: bytes) -> None:
    folder = store.local
    if folder is None:
        store.write(FILE, (store.read(FILE) or b"") + line)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FILE).open("ab", buffering=0) as file:
            file.write(line)
    except OSError as error:
        raise store_failure(folder / FILE, "written", error) from error
