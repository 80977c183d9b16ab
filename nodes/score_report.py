"""The scores of takes in words, and what to do about their sync."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..mmaudio_core.scoring.score import NOT_ASKED
from ..mmaudio_core.scoring.timing import HEAD_STEP, IN_STEP, SYNC, Timing
from ..mmaudio_core.scoring.types import TakeScores

_UNITS = {
    "desync": "desync {:.2f} s",
    "agreement": "agreement {:.3f}",
    "onset_match": "onsets match {:.2f}",
    "voice": "voice {:.0%}",
    "silence": "silent {:.0%}",
    "clipping": "clipped {:.2%}",
    "loudness": "{:.1f} LUFS",
}
"""How measurements are told; the offsets are part of the advice."""


@dataclass(frozen=True, kw_only=True)
class ScoredTake:
    """A take with all that is known of it.

    Attributes:
        number: index in the input, counted from 0.
        seconds: how much of the sound was scored.
        timing: as from ``find_timing``; None if neither of its judges was asked.
    """

    number: int
    seed: int | None
    seconds: float
    scores: TakeScores
    total: float | None
    timing: Timing | str | None

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        known = self.timing if isinstance(self.timing, Timing) else None
        return {
            "take": self.number,
            "seed": None if self.seed is None else str(self.seed),  # JSON's numbers: 53 bits
            "total": self.total,
            **self.scores.values(),
            "offset": None if known is None else known.offset,
            "drift": None if known is None else known.drift,
            "judges": [] if known is None else list(known.judges),
            "sync_offsets": self.scores.sync_offsets,
            "onset_offsets": self.scores.onset_offsets,
            "unmeasured": dict(self.scores.unmeasured),
        }


def write_report(takes: Sequence[ScoredTake], notices: Sequence[str]) -> str:
    """A few lines for each take, and what was not measured.

    Args:
        takes: best first.
        notices: what else there is to say.
    """
    lines: list[str] = []
    for place, take in enumerate(takes, 1):
        seed = "" if take.seed is None else f" (seed {take.seed})"
        total = "no score" if take.total is None else f"total {take.total:.3f}"
        lines.append(f"{place}. take {take.number}{seed}: {total}{_measurements(take.scores)}")
        if take.timing is not None:
            lines.append(f"   {advice(take.timing, take.seconds)}")
    return "\n".join([*lines, *unmeasured({take.number: take.scores for take in takes}), *notices])


def advice(timing: Timing | str, seconds: float) -> str:
    """Whether a sound of so many seconds is in step, and where to move it."""
    if isinstance(timing, str):
        return f"Whether it is in sync cannot be told: {timing}."
    by = " and ".join(f"the {judge}" for judge in timing.judges)
    if timing.drift:
        length = "long" if timing.drift > 0 else "short"
        return (
            f"The sound drifts by {timing.drift * 60_000:+.0f} ms per minute: it is "
            f"{_late(timing.at(0))} at the start and {_late(timing.at(seconds))} at the end, by "
            f"{by}. Moving it does not mend that: it is {abs(timing.drift):.2%} too {length}."
        )
    alone = timing.judges == (SYNC,)
    if abs(timing.offset) < (HEAD_STEP / 2 if alone else IN_STEP):
        finest = HEAD_STEP if alone else IN_STEP
        return f"The sound is in sync, to {finest * 1000:.0f} ms, by {by}."
    start = f"{-timing.offset:.2f}"
    return (
        f"The sound is {_late(timing.offset)}, by {by}: set start_offset of Mux Audio and Video to "
        f"{start}."
    )


def _late(offset: float) -> str:
    return f"{round(abs(offset) * 100) * 10} ms {'late' if offset >= 0 else 'early'}"


def _measurements(scores: TakeScores) -> str:
    values = scores.values()
    told = [
        unit.format(value) for name, unit in _UNITS.items() if (value := values[name]) is not None
    ]
    return "".join(f", {one}" for one in told)


def unmeasured(scores: Mapping[int, TakeScores], named_by: str = "take") -> list[str]:
    """A line for each reason why something of some takes was not measured.

    Args:
        scores: of each take, by its number.
        named_by: what the numbers are.
    """
    missing: dict[str, dict[int, list[str]]] = defaultdict(dict)
    for number, one in scores.items():
        for name, reason in one.unmeasured.items():
            if reason != NOT_ASKED:
                missing[reason].setdefault(number, []).append(name)
    lines: list[str] = []
    for reason, by_take in missing.items():
        names = ", ".join(dict.fromkeys(name for some in by_take.values() for name in some))
        numbers = ", ".join(map(str, sorted(by_take)))
        whose = "" if len(by_take) == len(scores) else f" of {named_by} {numbers}"
        lines.append(f"Not measured: {names}{whose}: {reason}.")
    return lines
