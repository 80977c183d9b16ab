"""Figures computed from the samples: medians, ratios and peaks; and their JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .compare import Comparison
from .implementations import OURS, PUBLISHED
from .messages import Failure, Measurement
from .stages import PARTS, Stage

_ON_CPU = (Stage.MEDIA, Stage.MUX)  # wherever the networks run


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One implementation's figures of a stage.

    Attributes:
        cold: seconds of the first run in a process.
        warm: median seconds of the other runs; of the first one if there is no other.
        cpu: median CPU seconds of all threads; steadier than ``warm`` on a busy machine.
        peak_mb: peak memory of the device that computes.
        added_mb: peak memory of the process above what it held when the stage began.
    """

    cold: float
    warm: float
    cpu: float
    peak_mb: float
    added_mb: float

    @classmethod
    def of_runs(cls, runs: Sequence[Measurement], *, on_cpu: bool) -> Timing:
        """Figures of the runs of one stage, the first of them cold."""
        warm = runs[1:] or runs
        return cls(
            cold=runs[0].seconds,
            warm=median(run.seconds for run in warm),
            cpu=median(run.cpu_seconds for run in warm),
            peak_mb=max(run.rss_mb if on_cpu else run.peak_mb for run in runs),
            added_mb=max(run.added_mb for run in runs),
        )

    @classmethod
    def of_parts(cls, parts: Sequence[Timing]) -> Timing:
        """Figures of several stages together: times added up, the highest peaks."""
        return cls(
            cold=math.fsum(part.cold for part in parts),
            warm=math.fsum(part.warm for part in parts),
            cpu=math.fsum(part.cpu for part in parts),
            peak_mb=max(part.peak_mb for part in parts),
            added_mb=max(part.added_mb for part in parts),
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """A stage (or the loading) on every implementation.

    Attributes:
        timings: by implementation; without those that failed.
        difference: relative L2 distance between the two results; None if not compared.
        notes: why timings are missing.
    """

    name: str
    timings: Mapping[str, Timing]
    difference: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        """The published code's warm seconds over ours."""
        ours, published = self.timings.get(OURS), self.timings.get(PUBLISHED)
        return published.warm / ours.warm if ours and published and ours.warm else None

    def to_json(self) -> dict[str, Any]:
        figures: dict[str, float | None] = {}
        for name in (OURS, PUBLISHED):
            timing = self.timings.get(name)
            figures |= {
                f"{name}_s": timing and timing.warm,
                f"{name}_cold_s": timing and timing.cold,
                f"{name}_mb": timing and timing.peak_mb,
                f"{name}_added_mb": timing and timing.added_mb,
                f"{name}_cpu_s": timing and timing.cpu,
            }
        return {
            **figures,
            "ratio": self.ratio,
            "difference": self.difference,
            "notes": list(self.notes),
            # no longer measured; kept for readers of earlier files
            "limit_share": None,
            "limit_s": None,
            "kijai_s": None,
            "kijai_ratio": None,
        }


@dataclass(frozen=True, kw_only=True)
class Results:
    """The figures of one job.

    Attributes:
        total: "run" if whole jobs were run, "sum" if the row is the sum of the stages.
    """

    comparison: Comparison
    load: Row
    rows: tuple[Row, ...]
    total: str

    def peak_mb(self, implementation: str) -> float | None:
        """Peak memory of the whole job if that was run, else the highest of its stages."""
        whole = [row for row in self.rows if self.total == "run" and row.name == Stage.TOTAL.value]
        timings = [
            row.timings[implementation]
            for row in whole or self.rows
            if implementation in row.timings
        ]
        return max((timing.peak_mb for timing in timings), default=None)

    def to_json(self) -> dict[str, Any]:
        job = self.comparison.job
        ours, published = self.peak_mb(OURS), self.peak_mb(PUBLISHED)
        return {
            "device": job.device,
            "precision": job.precision,
            "decoders": job.decoders,
            "compared_precision": job.compared_precision,
            "variant": job.variant,
            "seconds": job.seconds,
            "takes": job.takes,
            "steps": job.steps,
            "cfg": job.cfg,
            "total": self.total,
            "load_average": self.comparison.load_average,
            "rates": [],  # no longer measured; kept for readers of earlier files
            "load": self.load.to_json(),
            "stages": {row.name: row.to_json() for row in self.rows},
            "peak_mb": {
                OURS: ours,
                PUBLISHED: published,
                "ratio": ours / published if ours and published else None,
            },
        }


def summarize(comparison: Comparison, *, total: str) -> Results:
    """Compute the figures; with ``total`` "sum", the total is the sum of all other stages."""
    measured = {sample.stage for sample in comparison.samples}
    rows = [_row(comparison, stage) for stage in Stage if stage in measured]
    if total == "sum":
        rows.append(_sum_row(rows))
    load = _row(comparison, None)
    return Results(comparison=comparison, load=load, rows=tuple(rows), total=total)


def _row(comparison: Comparison, stage: Stage | None) -> Row:
    timings: dict[str, Timing] = {}
    notes: list[str] = []
    samples = [sample for sample in comparison.samples if sample.stage is stage]
    for name in dict.fromkeys(sample.implementation for sample in samples):
        results = [sample.result for sample in samples if sample.implementation == name]
        failures = [result for result in results if isinstance(result, Failure)]
        runs = [result for result in results if isinstance(result, Measurement)]
        if failures:
            notes.append(f"{name}: {failures[0].reason}")
        elif stage is None:  # every phase loads its own networks
            loads = [Timing.of_runs([run], on_cpu=False) for run in runs]
            timings[name] = Timing.of_parts(loads)
        else:
            timings[name] = Timing.of_runs(runs, on_cpu=stage in _ON_CPU)
    return Row(
        name="load" if stage is None else stage.value,
        timings=timings,
        difference=None if stage is None else comparison.differences.get(stage),
        notes=tuple(notes),
    )


def _sum_row(rows: Sequence[Row]) -> Row:
    """The total of the implementations that ran every stage."""
    names = dict.fromkeys(name for row in rows for name in row.timings)
    timings = {
        name: Timing.of_parts([row.timings[name] for row in rows])
        for name in names
        if sum(name in row.timings for row in rows) == len(PARTS)
    }
    return Row(name=Stage.TOTAL.value, timings=timings)
