"""The sides, taking turns."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from .clock import Measured
from .job import Job
from .process import Failed, SideSpec, WorkerProcess
from .rates import Rates
from .stages import Stage, phases

FLOORS = {Stage.MEDIA, Stage.MUX}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of a stage by a side, or a load (no stage); ``round`` 0 is the first in a process."""

    side: str
    stage: Stage | None
    round: int
    result: Measured | Failed


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that was measured of a job.

    Attributes:
        differences: relative L2 distance between our result and the second side's, by stage.
        floors: the least seconds of the stages that no network does.
        load_average: processes that wanted the CPU before it began; None where it is not told.
    """

    job: Job
    samples: tuple[Sample, ...]
    rates: tuple[Rates, ...]
    differences: dict[Stage, float]
    floors: dict[Stage, float]
    load_average: float | None


def compare(
    sides: Sequence[SideSpec],
    job: Job,
    stages: Sequence[Stage],
    rounds: int,
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Run every stage ``rounds`` times on every side, the sides alternating.

    Args:
        sides: ours first.
        job: the same for all.
        stages: what to run.
        rounds: the first is the cold one.
        say: told what was just measured.
    """
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    samples: list[Sample] = []
    rates: dict[str, Rates] = {}
    differences: dict[Stage, float] = {}
    floors: dict[Stage, float] = {}

    def note(side: str, stage: Stage | None, number: int, result: Measured | Failed) -> None:
        samples.append(Sample(side=side, stage=stage, round=number, result=result))
        name = "load" if stage is None else stage.value
        words = result.reason if isinstance(result, Failed) else f"{result.seconds:.3f} s"
        say(f"  round {number + 1}  {name:<12}{side:<10} {words}")

    for phase in phases(stages):
        with ExitStack() as stack:
            workers = [stack.enter_context(WorkerProcess(spec, job)) for spec in sides]
            for precision in {job.precision, job.decoders} - rates.keys():
                measured = workers[0].rates(precision)
                if not isinstance(measured, Failed):
                    rates[precision] = Rates(**measured)
            needed = FLOORS if Stage.TOTAL in phase else FLOORS & set(phase)
            for stage in needed - floors.keys():
                floor = workers[0].floor(stage)
                if floor is not None:
                    floors[stage] = floor
            failed: dict[str, Failed] = {}
            for worker in workers:
                load = worker.load(phase)
                note(worker.name, None, 0, load)
                if isinstance(load, Failed):
                    failed[worker.name] = load
            for number, stage in product(range(rounds), phase):
                for worker in workers:
                    path = None if number else _result(job, worker.name, stage)
                    result = failed.get(worker.name) or worker.run(stage, keep=path)
                    note(worker.name, stage, number, result)
        for stage in phase:
            made = [_result(job, spec.name, stage) for spec in sides]
            if len(made) > 1 and made[0].exists() and made[1].exists():
                differences[stage] = _difference(made[0], made[1])
            for path in made:
                path.unlink(missing_ok=True)
    return Comparison(
        job=job,
        samples=tuple(samples),
        rates=tuple(rates.values()),
        differences=differences,
        floors=floors,
        load_average=busy,
    )


def _result(job: Job, side: str, stage: Stage) -> Path:
    """Where a side leaves what a stage made."""
    return Path(job.out) / f"{side}_{stage.value}.pt"


def _difference(ours: Path, other: Path) -> float:
    got, expected = (torch.load(path, weights_only=True).double() for path in (ours, other))
    if got.shape != expected.shape:
        return float("nan")
    return ((got - expected).norm() / expected.norm()).item()
