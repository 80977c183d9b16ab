"""By how much each take's sound is late over time, as an IMAGE."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..mmaudio_core.scoring.timing import Timing
from ..mmaudio_core.scoring.types import Offsets
from .plot_sheet import FAINT, LABEL, ONSET, PLOT, SOUND, Sheet
from .score_report import ScoredTake

_LEGEND = 16
_LANE, _ALL_LANES = 72, 240  # px: of one of many lanes, and of few lanes together
_MAX_LANES = 64
_LEAST_REACH = 0.5  # s up and down from the middle of a lane
_DOT = 4
_LINE = (140, 220, 140)


def draw_offsets(takes: Sequence[ScoredTake], duration: float) -> Tensor:
    """A lane a take, (1, H, 1280, 3) float32 in [0, 1]; late sound is above the middle.

    Args:
        takes: in the order of the lanes.
        duration: seconds of the axis.
    """
    shown = takes[:_MAX_LANES]
    offsets = [o for take in shown for o in (*take.scores.sync_offsets, *take.scores.onset_offsets)]
    reach = max([_LEAST_REACH, *(abs(offset) for _, offset in offsets)])
    height = max(_LANE, _ALL_LANES // len(shown))
    lanes = [(f"take {take.number}", height) for take in shown]
    sheet = Sheet(duration, [("offset", _LEGEND), *lanes])
    legend = (
        f"up: late, down: early, {reach:.1f} s to the edge. Blue: synchronisation head, red: "
        "onsets, green: what follows"
    )
    sheet.text(LABEL + PLOT / 2, sheet.tops[0], legend)
    for take, top in zip(shown, sheet.tops[1:], strict=True):
        _draw_lane(sheet, take, top, height, reach)
    return sheet.finish()


def _draw_lane(sheet: Sheet, take: ScoredTake, top: int, height: int, reach: float) -> None:
    middle = top + height / 2

    def y(offset: float) -> float:
        clamped = min(max(offset, -reach), reach)
        return middle - clamped / reach * (height / 2 - _DOT)

    sheet.pen.rectangle((LABEL, top, LABEL + PLOT, top + height), outline=FAINT)
    sheet.pen.line((LABEL, middle, LABEL + PLOT, middle), FAINT)
    if isinstance(take.timing, Timing):
        ends = [(sheet.place(at), y(take.timing.at(at))) for at in (0.0, take.seconds)]
        sheet.pen.line((*ends[0], *ends[1]), _LINE, 3)

    def dots(offsets: Offsets, color: tuple[int, int, int]) -> None:
        for time, offset in offsets:
            x = sheet.place(time)
            box = (x - _DOT, y(offset) - _DOT, x + _DOT, y(offset) + _DOT)
            sheet.pen.ellipse(box, color)

    dots(take.scores.sync_offsets, SOUND)
    dots(take.scores.onset_offsets, ONSET)
