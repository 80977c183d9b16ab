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
    run = _Run(job, say)
    for phase in phases(stages):
        with ExitStack() as stack:
            here = [spec for spec in sides if set(spec.stages) & set(phase)]
            workers = [stack.enter_context(WorkerProcess(spec, job)) for spec in here]
            run.measure_limits(workers[0], phase)
            run.take_turns(workers, phase, rounds)
    return Comparison(
        job=job,
        samples=tuple(run.samples),
        rates=tuple(run.rates.values()),
        differences=run.differences,
        floors=run.floors,
        load_average=busy,
    )


class _Run:
    """Collects what the workers of one phase after another measure."""

    def __init__(self, job: Job, say: Callable[[str], None]) -> None:
        self.samples: list[Sample] = []
        self.rates: dict[str, Rates] = {}
        self.differences: dict[Stage, float] = {}
        self.floors: dict[Stage, float] = {}
        self._job = job
        self._say = say

    def measure_limits(self, ours: WorkerProcess, phase: Sequence[Stage]) -> None:
        """The rates, the best of all phases, and the floors, where they are not known yet."""
        for precision in sorted({self._job.precision, self._job.decoders}):
            answer = ours.rates(precision)
            if isinstance(answer, Failed):
                continue
            seen = Rates(**answer)
            best = self.rates.get(precision, seen)
            self.rates[precision] = Rates(
                precision=precision,
                flops=max(best.flops, seen.flops),
                bytes=max(best.bytes, seen.bytes),
            )
        needed = FLOORS if Stage.TOTAL in phase else FLOORS & set(phase)
        for stage in needed - self.floors.keys():
            floor = ours.floor(stage)
            if floor is not None:
                self.floors[stage] = floor

    def take_turns(
        self, workers: Sequence[WorkerProcess], phase: Sequence[Stage], rounds: int
    ) -> None:
        """Load every worker, then let them run stage by stage, round by round."""
        failed: dict[str, Failed] = {}
        for worker in workers:
            load = worker.load(tuple(stage for stage in phase if stage in worker.stages))
            self._note(worker.name, None, 0, load)
            if isinstance(load, Failed):
                failed[worker.name] = load
        for number, stage in product(range(rounds), phase):
            taking_part = [worker for worker in workers if stage in worker.stages]
            for worker in taking_part:
                path = None if number else self._result(worker.name, stage)
                result = failed.get(worker.name) or worker.run(stage, keep=path)
                self._note(worker.name, stage, number, result)
            if number == 0:
                self._compare_results([worker.name for worker in taking_part], stage)

    def _note(self, side: str, stage: Stage | None, number: int, result: Measured | Failed) -> None:
        self.samples.append(Sample(side=side, stage=stage, round=number, result=result))
        name = "load" if stage is None else stage.value
        words = result.reason if isinstance(result, Failed) else f"{result.seconds:.3f} s"
        self._say(f"  round {number + 1}  {name:<12}{side:<10} {words}")

    def _compare_results(self, sides: Sequence[str], stage: Stage) -> None:
        made = [self._result(side, stage) for side in sides]
        if len(made) > 1 and made[0].exists() and made[1].exists():
            self.differences[stage] = _difference(made[0], made[1])
        for path in made:
            path.unlink(missing_ok=True)

    def _result(self, side: str, stage: Stage) -> Path:
        """Where a side leaves what a stage made."""
        return Path(self._job.out) / f"{side}_{stage.value}.pt"


def _difference(ours: Path, other: Path) -> float:
    got, expected = (torch.load(path, weights_only=True).double() for path in (ours, other))
    if got.shape != expected.shape:
        return float("nan")
    return ((got - expected).norm() / expected.norm()).item()
