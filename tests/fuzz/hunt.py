"""Hands cases to a worker process, which a crash or an endless loop ends; the hunt goes on."""

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
"""Seconds that a case may take."""
_START = 120.0
"""Seconds that the first case may take, imports included."""


@dataclass
class Tally:
    """Outcomes of the cases of one kind.

    Attributes:
        correct: how many ended in a correct result.
        errors: number of the case -> the clear error it ended in.
        faults: number of the case -> what went wrong.
        slowest: seconds that the slowest case took.
    """

    kind: str
    correct: int = 0
    faults: dict[int, str] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    slowest: float = 0.0

    @property
    def cases(self) -> int:
        return self.correct + len(self.errors) + len(self.faults)


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
                tally.correct += 1
            else:
                tally.errors[number] = answer["outcome"]
            if not worker.alive:
                worker.stop()
                worker = None
    finally:
        if worker is not None:
            worker.stop()
    return tally


class _Worker:
    """A process that runs cases, and its standard error."""

    def __init__(self, seeds: Path, seed: int) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.fuzz.worker", str(seeds), str(seed)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self._limit = _START
        self.alive = True

    def ask(self, line: str) -> dict[str, str]:
        """The answer to one case, or what ended the worker."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended already, which reading its answer shows
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
        self._stderr.seek(0)
        text = self._stderr.read().decode(errors="replace")[-2000:]
        return {"fault": f"the process ended with {self._process.wait()}\n{text}"}

    def stop(self) -> None:
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()
        self._stderr.close()
