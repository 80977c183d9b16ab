"""Runs that are killed, each in a process of its own: ``python -m tests.batch.killed FOLDER``.

One process imports everything and forks, so that each run starts at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import torch

from mmaudio_core.batch import run as running
from mmaudio_core.batch.batches import Batch, plan_batches
from mmaudio_core.batch.item import Item
from mmaudio_core.batch.run import Run
from mmaudio_core.batch.stages import DecodedItem, Failure, GeneratedSound
from mmaudio_core.batch.store import LocalStore
from mmaudio_core.progress import Progress
from tests.batch.clips import QUICK, RUN, item
from tests.batch.test_run import Heard

OPTIONS = replace(QUICK, audio_only=True, steps=1, duration=Fraction(16, 25))
ITEMS = [item(None, name, replace(OPTIONS, takes=2 if name == "b" else 1)) for name in "abc"]
MANY = [item(None, f"{number}", OPTIONS) for number in range(8)]


def seeded_noise(
    _networks: object, batch: Batch, frames: Mapping[int, DecodedItem], _progress: Progress
) -> dict[int, GeneratedSound | Failure]:
    """Instead of ``generate``: what is tested is what is written when."""
    time.sleep(0.02)
    sounds: dict[int, GeneratedSound | Failure] = {}
    for place in frames:
        seeds = tuple(batch.items[place].options.seeds)
        takes = [torch.rand(1, 10_240, generator=torch.Generator().manual_seed(s)) for s in seeds]
        sounds[place] = GeneratedSound(
            waveforms=torch.stack(takes) - 0.5, sample_rate=16_000, seeds=seeds
        )
    return sounds


def run(items: Sequence[Item], folder: Path) -> Heard:
    running.generate = seeded_noise
    heard = Heard()
    Run(cast(Any, None), LocalStore(folder), RUN, heard).run(plan_batches(items, 1))
    return heard


def forked(work: Callable[[], None]) -> int:
    """The process that does ``work``."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        os._exit(1)


def die_at(calls: int, *, after: bool) -> None:
    """Kill this process before or after the so-many-th file gets its name."""
    real, seen = os.replace, 0

    def replace_or_die(source: str, target: str) -> None:
        nonlocal seen
        seen += 1
        if after:
            real(source, target)
        if seen == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        if not after:
            real(source, target)

    os.replace = replace_or_die  # pyright: ignore


def killed_run(folder: Path, calls: int, *, after: bool) -> bool:
    """A run that is killed; whether it was."""

    def work() -> None:
        die_at(calls, after=after)
        run(ITEMS, folder)

    _, status = os.waitpid(forked(work), 0)
    return os.WIFSIGNALED(status)


def two_runs(folder: Path) -> list[list[str]]:
    """What each of two processes did of the same items at the same time."""
    logs = [folder.with_suffix(f".{number}") for number in range(2)]

    def work(log: Path) -> None:
        log.write_text(json.dumps(run(MANY, folder).done_items))

    children = [forked(lambda log=log: work(log)) for log in logs]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    return [json.loads(log.read_text()) for log in logs]


def main(root: Path) -> None:
    torch.set_num_threads(1)
    run(ITEMS, root / "whole")
    point = 1
    while True:
        before = killed_run(root / f"before {point}", point, after=False)
        killed = killed_run(root / f"after {point}", point, after=True)
        assert before == killed
        if not killed:
            break
        point += 1
    print(json.dumps({"points": point - 1, "two": two_runs(root / "two")}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
