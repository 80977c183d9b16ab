"""The figures as a picture: a pair of bars a stage, each pair on a scale of its own."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from .results import OURS, PUBLISHED, Results, Row

_WIDTH, _LEFT, _BAR, _LINE, _GAP = 860, 130, 480, 15, 16
_TOP = 92
_COLOURS = {OURS: "#2b8a3e", PUBLISHED: "#adb5bd"}
_INK, _LIMIT = "#212529", "#c92a2a"


def picture(results: Results) -> str:
    """An SVG document; a stage's longer bar has the full length, whatever its seconds."""
    rows = [row for row in results.rows if row.sides]
    sides = [side for side in _COLOURS if any(side in row.sides for row in rows)]
    height = _TOP + len(rows) * (len(sides) * _LINE + _GAP) + 12
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{_INK}">'
    )
    parts = [head, f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>']
    parts += _heading(results, sides)
    y = _TOP
    for row in rows:
        parts += _pair(row, sides, y)
        y += len(sides) * _LINE + _GAP
    return "\n".join([*parts, "</svg>\n"])


def _heading(results: Results, sides: list[str]) -> Iterator[str]:
    title = "Seconds a stage, warm" + (", and how many times quicker" if len(sides) > 1 else "")
    yield f'<text x="16" y="26" font-size="16" font-weight="bold">{title}</text>'
    yield f'<text x="16" y="46">{escape(str(results.comparison.job))}</text>'
    x = 16
    for side in sides:
        yield f'<rect x="{x}" y="60" width="12" height="12" fill="{_COLOURS[side]}"/>'
        yield f'<text x="{x + 18}" y="70">{side}</text>'
        x += 110
    yield f'<rect x="{x}" y="58" width="2" height="16" fill="{_LIMIT}"/>'
    yield f'<text x="{x + 10}" y="70">least time the hardware needs</text>'


def _pair(row: Row, sides: list[str], y: int) -> Iterator[str]:
    longest = max(timing.warm for timing in row.sides.values())
    middle = y + len(sides) * _LINE / 2 + 4
    yield f'<text x="16" y="{middle:g}" font-weight="bold">{row.name}</text>'
    for number, side in enumerate(sides):
        seconds, top = row.seconds(side), y + number * _LINE
        if seconds is None:
            yield f'<text x="{_LEFT}" y="{top + 12}">not run</text>'
            continue
        length = max(2.0, _BAR * seconds / longest)
        colour, end = _COLOURS[side], _LEFT + length + 6
        yield (
            f'<rect x="{_LEFT}" y="{top}" width="{length:.1f}" height="{_LINE - 1}" '
            f'fill="{colour}"/>'
        )
        yield f'<text x="{end:.1f}" y="{top + 12}">{_seconds(seconds)}</text>'
    ratio = row.ratio()
    if ratio is not None:
        yield (
            f'<text x="{_WIDTH - 16}" y="{middle:g}" text-anchor="end" font-size="14" '
            f'font-weight="bold">{ratio:.3g}x</text>'
        )
    if row.limit_s is not None and OURS in row.sides and row.limit_s <= longest:
        x = _LEFT + _BAR * row.limit_s / longest
        yield f'<rect x="{x:.1f}" y="{y - 2}" width="2" height="{_LINE + 3}" fill="{_LIMIT}"/>'


def _seconds(value: float) -> str:
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
