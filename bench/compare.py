"""Runs every stage on every implementation, the implementations taking turns."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import torch

from .job import Job
from .messages import Failure, Load, Measurement, RunStage
from .process import WorkerProcess, WorkerSpec
from .stages import Stage, phases


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of a stage by an implementation, or one loading of networks (``stage`` None)."""

    implementation: str
    stage: Stage | None
    result: Measurement | Failure


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything measured for a job.

    Attributes:
        samples: in the order in which they were taken.
        differences: relative L2 distance between the results of the first two implementations.
        load_average: of the system before the comparison; None where the system has none.
    """

    job: Job
    samples: list[Sample] = field(default_factory=list[Sample])
    differences: dict[Stage, float] = field(default_factory=dict[Stage, float])
    load_average: float | None


def compare(
    specs: Sequence[WorkerSpec],
    job: Job,
    stages: Sequence[Stage],
    rounds: int,
    log: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Run every stage ``rounds`` times on every implementation.

    Args:
        specs: our implementation first.
        rounds: the first one in a process is cold.
        log: called with a line about each measurement.
    """
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    comparison = Comparison(job=job, load_average=load_average)
    for phase in phases(stages):
        with ExitStack() as stack:
            workers = [stack.enter_context(WorkerProcess(spec, job)) for spec in specs]
            _run_phase(comparison, workers, phase, rounds, log)
    return comparison


def _run_phase(
    comparison: Comparison,
    workers: Sequence[WorkerProcess],
    phase: tuple[Stage, ...],
    rounds: int,
    log: Callable[[str], None],
) -> None:
    def add(worker: WorkerProcess, stage: Stage | None, result: Measurement | Failure) -> None:
        comparison.samples.append(Sample(implementation=worker.name, stage=stage, result=result))
        text = result.reason if isinstance(result, Failure) else f"{result.seconds:.3f} s"
        log(f"  {stage.value if stage else 'load':<12}{worker.name:<10} {text}")

    loaded: list[WorkerProcess] = []
    for worker in workers:
        result = worker.request(Load(stages=phase))
        add(worker, None, result)
        if isinstance(result, Measurement):
            loaded.append(worker)
    for number, stage in product(range(rounds), phase):
        paths = [comparison.job.out / f"{worker.name}_{stage.value}.pt" for worker in workers]
        for worker, path in zip(workers, paths, strict=True):
            if worker in loaded:
                save_to = path if number == 0 else None
                add(worker, stage, worker.request(RunStage(stage=stage, save_to=save_to)))
        if number == 0 and len(paths) > 1 and paths[0].exists() and paths[1].exists():
            comparison.differences[stage] = _difference(paths[0], paths[1])
        for path in paths:
            path.unlink(missing_ok=True)


def _difference(ours: Path, other: Path) -> float:
    actual, expected = (torch.load(path, weights_only=True).double() for path in (ours, other))
    if actual.shape != expected.shape:
        return float("nan")
    return ((actual - expected).norm() / expected.norm()).item()
