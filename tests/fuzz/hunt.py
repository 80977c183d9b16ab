"""Cases handed to a worker one by one; crashes and endless loops end it, not the hunt."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TextIO

ROOT = Path(__file__).parents[2]
HANG = 20.0
"""Seconds in which a case must be done."""
_START = 120.0
"""Seconds that importing may take."""


@dataclass
class Tally:
    """What became of the cases.

    Attributes:
        right: ended in a right result.
        told: ended in a clear error.
        faults: number of the case -> what went wrong.
        errors: the errors told, by number.
        slowest: seconds that the slowest case took.
    """

    kind: str
    right: int = 0
    told: int = 0
    faults: dict[int, str] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    slowest: float = 0.0

    @property
    def cases(self) -> int:
        return self.right + self.told + len(self.faults)


def hunt(
    kind: str, numbers: Iterable[int], seed: int, seeds: Path, log: TextIO | None = None
) -> Tally:
    """Run the cases ``numbers`` of a kind; every fault is printed to ``log``."""
    tally = Tally(kind=kind)
    worker: _Worker | None = None
    try:
        for number in numbers:
            worker = worker or _Worker(seeds, seed)
            started = time.monotonic()
            answer = worker.ask(f"{kind} {number}")
            tally.slowest = max(tally.slowest, time.monotonic() - started)
            if "fault" in answer:
                tally.faults[number] = answer["fault"]
                if log is not None:
                    print(f"{kind} {number}: {answer['fault']}", file=log, flush=True)
            elif answer["outcome"] == "ok":
                tally.right += 1
            else:
                tally.told += 1
                tally.errors[number] = answer["outcome"]
            if not worker.alive:
                worker.stop()
                worker = None
    finally:
        if worker is not None:
            worker.stop()
    return tally


class _Worker:
    """A process that runs cases."""

    def __init__(self, seeds: Path, seed: int) -> None:
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the worker)
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.fuzz.worker", str(seeds), str(seed)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
        )
        self._limit = _START
        self.alive = True

    def ask(self, line: str) -> dict[str, str]:
        """The answer to one case, or what ended the worker."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended already; reading tells
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            ready = selector.select(self._limit)
        if not ready:
            self.alive = False
            return {"fault": f"nothing came back within {self._limit:g} s"}
        self._limit = HANG
        answer = self._process.stdout.readline()
        if answer:
            return json.loads(answer)
        self.alive = False
        self._words.seek(0)
        words = self._words.read().decode(errors="replace")[-2000:]
        return {"fault": f"the process ended with {self._process.wait()}\n{words}"}

    def stop(self) -> None:
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()
        self._words.close()
