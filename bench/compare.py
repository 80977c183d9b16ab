"""The sides, taking turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from .clock import Measured
from .job import Job
from .process import Failed, SideSpec, WorkerProcess
from .rates import Rates
from .stages import Stage, phases


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
        differences: relative L2 distance between our result and the published one, by stage.
    """

    job: Job
    samples: tuple[Sample, ...]
    rates: tuple[Rates, ...]
    differences: dict[Stage, float]


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
    samples: list[Sample] = []
    rates: dict[str, Rates] = {}
    differences: dict[Stage, float] = {}

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
            for worker in workers:
                note(worker.name, None, 0, worker.load(phase))
            for number in range(rounds):
                for stage in phase:
                    kept: list[Path] = []
                    for worker in workers:
                        path = Path(job.out) / f"{worker.name}_{stage.value}.pt"
                        keep = path if number == 0 else None
                        note(worker.name, stage, number, worker.run(stage, keep))
                        kept += [path] if path.exists() and number == 0 else []
                    if len(kept) > 1:
                        differences[stage] = _difference(kept[0], kept[1])
                    for path in kept:
                        path.unlink()
    return Comparison(
        job=job, samples=tuple(samples), rates=tuple(rates.values()), differences=differences
    )


def _difference(ours: Path, published: Path) -> float:
    got, expected = (torch.load(path, weights_only=True).double() for path in (ours, published))
    if got.shape != expected.shape:
        return float("nan")
    return ((got - expected).norm() / expected.norm()).item()
