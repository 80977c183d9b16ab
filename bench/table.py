"""The figures as a table of text."""

from __future__ import annotations

from collections.abc import Iterator

from .implementations import OURS, PUBLISHED
from .results import Results, Row

_BUSY = 1.0  # load average from which timings on the CPU are unreliable


def table(results: Results) -> str:
    """Seconds, their ratio, first run, peak memory and difference of every stage."""
    return "\n".join(_lines(results))


def _lines(results: Results) -> Iterator[str]:
    job = results.comparison.job
    yield str(job)
    busy = results.comparison.load_average or 0
    if job.device == "cpu" and busy >= _BUSY:
        yield f"the CPU was busy at the start (load average {busy:.1f}): times are too long"
    yield ""
    rows = (results.load, *results.rows)
    cells = [
        [
            "stage",
            OURS,
            PUBLISHED,
            "ratio",
            "cold ours",
            "cold publ.",
            "MB ours",
            "MB publ.",
            "difference",
        ],
        *(_cells(row) for row in rows),
    ]
    for line in cells:
        yield f"{line[0]:<13}" + "".join(f"{cell:>12}" for cell in line[1:])
    yield ""
    if results.total == "sum":
        yield "total: the sum of the stages (--stages total runs a whole job in one process)"
    for row in rows:
        yield from (f"{row.name}: {note}" for note in row.notes)


def _cells(row: Row) -> list[str]:
    timings = [row.timings.get(name) for name in (OURS, PUBLISHED)]
    return [
        row.name,
        *(f"{timing.warm:.3f} s" if timing else "-" for timing in timings),
        f"{row.ratio:.2f}x" if row.ratio else "-",
        *(f"{timing.cold:.3f} s" if timing else "-" for timing in timings),
        *(f"{timing.peak_mb:,.0f}" if timing else "-" for timing in timings),
        "-" if row.difference is None else f"{row.difference:.1e}",
    ]
