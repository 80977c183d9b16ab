"""Figures from samples: medians, ratios, shares of the limit, peaks; and their JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .clock import Measured
from .compare import Comparison, Sample
from .process import Failed
from .stages import PARTS, Stage

OURS, PUBLISHED, KIJAI = "ours", "published", "kijai"
# these run on the CPU wherever the networks run
_ON_CPU = (Stage.MEDIA, Stage.MUX)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One side's figures of a stage.

    Attributes:
        cold: seconds of the first run in a process.
        warm: the median of the others; of the first, where there is no other.
        cpu: processor seconds of all threads, the median; on a busy machine steadier than time.
        peak_mb: the most memory, of the device that computes.
        added_mb: the process's memory on the CPU, above what it held when the stage began.
    """

    cold: float
    warm: float
    cpu: float
    peak_mb: float
    added_mb: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """A stage (or the load) on every side.

    Attributes:
        limit_s: the least the hardware needs; None where it is not known.
        difference: between our result and the second side's, relative; None where not compared.
        notes: why figures are missing.
    """

    name: str
    sides: Mapping[str, Timing]
    limit_s: float | None = None
    difference: float | None = None
    notes: tuple[str, ...] = ()

    def seconds(self, side: str) -> float | None:
        return self.sides[side].warm if side in self.sides else None

    def ratio(self, side: str = PUBLISHED) -> float | None:
        """How many times as long as ours the other side takes."""
        ours, other = self.seconds(OURS), self.seconds(side)
        return None if not ours or other is None else other / ours

    @property
    def limit_share(self) -> float | None:
        """The least time over ours: 1 is all that the hardware can do."""
        ours = self.seconds(OURS)
        return None if not ours or self.limit_s is None else self.limit_s / ours

    def to_json(self) -> dict[str, Any]:
        def of(side: str, figure: str) -> float | None:
            return getattr(self.sides[side], figure) if side in self.sides else None

        return {
            "ours_s": self.seconds(OURS),
            "published_s": self.seconds(PUBLISHED),
            "ratio": self.ratio(),
            "limit_share": self.limit_share,
            "limit_s": self.limit_s,
            "ours_cold_s": of(OURS, "cold"),
            "published_cold_s": of(PUBLISHED, "cold"),
            "ours_mb": of(OURS, "peak_mb"),
            "published_mb": of(PUBLISHED, "peak_mb"),
            "ours_added_mb": of(OURS, "added_mb"),
            "published_added_mb": of(PUBLISHED, "added_mb"),
            "ours_cpu_s": of(OURS, "cpu"),
            "published_cpu_s": of(PUBLISHED, "cpu"),
            "kijai_s": self.seconds(KIJAI),
            "kijai_ratio": self.ratio(KIJAI),
            "difference": self.difference,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class Results:
    """The figures of one job.

    Attributes:
        total: whether the total was ``run`` as a whole job, or is the ``sum`` of its stages.
    """

    comparison: Comparison
    load: Row
    rows: tuple[Row, ...]
    total: str

    @property
    def sides(self) -> list[str]:
        """Those that took part, ours first."""
        return list(dict.fromkeys(sample.side for sample in self.comparison.samples))

    def row(self, stage: Stage) -> Row | None:
        return next((row for row in self.rows if row.name == stage.value), None)

    def peak_mb(self, side: str) -> float | None:
        """The most of any stage that computes on the device; of the whole job, if that was run."""
        total = self.row(Stage.TOTAL)
        if self.total == "run" and total is not None and side in total.sides:
            return total.sides[side].peak_mb
        peaks = [row.sides[side].peak_mb for row in self.rows if side in row.sides]
        return max(peaks, default=None)

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
            "rates": [asdict(rates) for rates in self.comparison.rates],
            "load": self.load.to_json(),
            "stages": {row.name: row.to_json() for row in self.rows},
            "peak_mb": {
                OURS: ours,
                PUBLISHED: published,
                "ratio": ours / published if ours and published else None,
            },
        }


def results(comparison: Comparison, limits: Mapping[Stage, float], *, total: str) -> Results:
    """The figures; with ``total`` "sum", each side's total is that of its stages, run by run."""
    samples = list(comparison.samples)
    if total == "sum":
        samples += _sums(samples)
    stages = [stage for stage in Stage if any(sample.stage is stage for sample in samples)]
    rows = tuple(
        _row(
            stage.value,
            [sample for sample in samples if sample.stage is stage],
            stage=stage,
            limit_s=limits.get(stage),
            difference=comparison.differences.get(stage),
        )
        for stage in stages
    )
    loads = _loads([sample for sample in samples if sample.stage is None])
    return Results(comparison=comparison, load=_row("load", loads), rows=rows, total=total)


def _row(
    name: str,
    samples: Sequence[Sample],
    *,
    stage: Stage | None = None,
    limit_s: float | None = None,
    difference: float | None = None,
) -> Row:
    sides: dict[str, Timing] = {}
    notes: list[str] = []
    for side in dict.fromkeys(sample.side for sample in samples):
        of_side = [sample.result for sample in samples if sample.side == side]
        failed = next((result for result in of_side if isinstance(result, Failed)), None)
        measured = [result for result in of_side if isinstance(result, Measured)]
        if failed is not None or not measured:
            notes.append(f"{side}: {failed.reason if failed else 'not run'}")
            continue
        peaks = [m.rss_mb if stage in _ON_CPU else m.peak_mb for m in measured]
        sides[side] = Timing(
            cold=measured[0].seconds,
            warm=median(m.seconds for m in measured[1:] or measured),
            cpu=median(m.cpu_seconds for m in measured[1:] or measured),
            peak_mb=max(peaks),
            added_mb=max(m.added_mb for m in measured),
        )
    return Row(name=name, sides=sides, limit_s=limit_s, difference=difference, notes=tuple(notes))


def _sums(samples: Sequence[Sample]) -> list[Sample]:
    """A total of each round in which a side did every stage."""
    sums: list[Sample] = []
    for side in dict.fromkeys(sample.side for sample in samples):
        for number in sorted({sample.round for sample in samples}):
            done = {
                sample.stage: sample.result
                for sample in samples
                if (sample.side, sample.round) == (side, number)
            }
            parts = [done.get(stage) for stage in PARTS]
            measured = [part for part in parts if isinstance(part, Measured)]
            if len(measured) == len(PARTS):
                sums.append(
                    Sample(side=side, stage=Stage.TOTAL, round=number, result=_added(measured))
                )
    return sums


def _loads(samples: Sequence[Sample]) -> list[Sample]:
    """All loads of a side as one."""
    loads: list[Sample] = []
    for side in dict.fromkeys(sample.side for sample in samples):
        of_side = [sample.result for sample in samples if sample.side == side]
        failed = [result for result in of_side if isinstance(result, Failed)]
        measured = [result for result in of_side if isinstance(result, Measured)]
        result = failed[0] if failed else _added(measured)
        loads.append(Sample(side=side, stage=None, round=0, result=result))
    return loads


def _added(measured: Sequence[Measured]) -> Measured:
    device = [m.device_mb for m in measured if m.device_mb is not None]
    return Measured(
        seconds=math.fsum(m.seconds for m in measured),
        cpu_seconds=math.fsum(m.cpu_seconds for m in measured),
        rss_mb=max(m.rss_mb for m in measured),
        added_mb=max(m.added_mb for m in measured),
        device_mb=max(device, default=None),
    )
