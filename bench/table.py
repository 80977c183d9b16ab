"""The figures as lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .results import OURS, Results, Row

_NAME, _COLUMN = 13, 11
_BUSY = 1.0  # load average


def table(results: Results) -> str:
    """Stage by stage: each side's warm seconds, ratios, share of the limit, first run, peak."""
    return "\n".join(_lines(results))


def _lines(results: Results) -> Iterator[str]:
    job = results.comparison.job
    others = [side for side in results.sides if side != OURS]
    yield str(job)
    for rates in results.comparison.rates:
        yield (
            f"measured in this run: {rates.precision} products {_si(rates.flops)}FLOP/s, copies "
            f"{_si(rates.bytes)}B/s"
        )
    heads = [OURS, *others, *(f"{side}/ours" for side in others), "limit share"]
    heads += [f"cold {side}" for side in results.sides]
    heads += [f"MB {side}" for side in results.sides]
    heads += ["difference"] if others else []
    widths = [max(_COLUMN, len(head) + 2) for head in heads]
    busy = results.comparison.load_average or 0
    if job.device == "cpu" and busy >= _BUSY:
        yield f"the CPU was busy when this began (load average {busy:.1f}): times are too long"
    yield ""
    yield f"{'stage':<{_NAME}}" + "".join(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True))
    rows = [results.load, *results.rows]
    for row in rows:
        cells = _cells(row, results.sides, others)
        padded = "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=False))
        yield f"{row.name:<{_NAME}}{padded}"
    yield ""
    if results.total == "sum" and any(row.name == "total" for row in results.rows):
        yield "total: the stages of a round added up (--total run: a whole job in one process)"
    for row in rows:
        yield from (f"{row.name}: {note}" for note in row.notes)


def _cells(row: Row, sides: list[str], others: list[str]) -> list[str]:
    cells = [_seconds(row.seconds(side)) for side in (OURS, *others)]
    cells += [_times(row.ratio(side)) for side in others]
    cells.append("-" if row.limit_share is None else f"{row.limit_share:.0%}")
    cells += [_seconds(row.sides[s].cold if s in row.sides else None) for s in sides]
    cells += [f"{row.sides[s].peak_mb:,.0f}" if s in row.sides else "-" for s in sides]
    if others:
        cells.append("-" if row.difference is None else f"{row.difference:.1e}")
    return cells


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} s"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x"


def _si(value: float) -> str:
    power = min(5, int(math.log10(value)) // 3) if value >= 1 else 0
    return f"{value / 1000**power:.3g} {('', 'k', 'M', 'G', 'T', 'P')[power]}"
