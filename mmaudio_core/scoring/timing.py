"""Whether sound and picture are in step, from what two judges found over time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from statistics import median

from .types import Offsets, TakeScores

SYNC, ONSETS = "synchronisation head", "onsets"
IN_STEP = 0.04
"""Seconds: a frame at 25 a second."""
HEAD_STEP = 0.2
"""Seconds between the offsets that the head tells apart."""
_LEAST_MATCH, _SURE_SECONDS = 0.3, 4.0
"""Of onsets and motion: at least the first, or the second divided by the seconds. Random clicks for
random flashes reached 0.22 of 20 s, 0.29 of 12, 0.55 of 8, 0.98 of 4 (the highest of 60)."""
_MOST_APART = {SYNC: 1.5 * HEAD_STEP, ONSETS: 0.1}  # s, median distance of windows from their line
_SURE_SECONDS_ALONE, _SURE_MATCH = 8.0, 0.7
"""What is longer must match in its parts, too, or as well as the only clap of a clapper board."""
_LEAST_WINDOWS = 3  # of the head, which always names some offset, if the onsets tell nothing
_LEAST_DRIFT = {SYNC: HEAD_STEP, ONSETS: 0.06}  # s, between the first and the last window
_DRIFT_SPAN = 10.0  # s between them: a drift in less is no drift


@dataclass(frozen=True, kw_only=True)
class Timing:
    """By how much a sound is late.

    Attributes:
        offset: seconds by which the sound is late (below 0: early) at ``middle``.
        middle: seconds of the sound.
        drift: seconds by which the offset grows in a second; 0 where it does not grow.
        judges: which say so, by the names above.
    """

    offset: float
    middle: float = 0.0
    drift: float = 0.0
    judges: tuple[str, ...]

    def at(self, time: float) -> float:
        """The offset at a time of the sound, in seconds."""
        return self.offset + self.drift * (time - self.middle)


def find_timing(scores: TakeScores, seconds: float) -> Timing | str:
    """What is known about the offset of a take of so many seconds, or why it is not known.

    The onsets tell it more finely, the head is not fooled by a regular rhythm: where both tell it,
    they must agree within a step of the head's grid, and the onsets' number is taken.
    """
    by_head, by_onsets = _by_head(scores), _by_onsets(scores, seconds)
    if isinstance(by_head, str):
        if not isinstance(by_onsets, str):
            return by_onsets
        return f"{SYNC}: {by_head}; {ONSETS}: {by_onsets}"
    if isinstance(by_onsets, str):
        count = len(scores.sync_offsets)
        if count < _LEAST_WINDOWS:
            return (
                f"the {SYNC} says {by_head.offset:+.2f} s, from {count} of at least "
                f"{_LEAST_WINDOWS} windows; {ONSETS}: {by_onsets}"
            )
        return by_head
    if abs(by_head.offset - by_onsets.offset) > HEAD_STEP + IN_STEP:
        return (
            f"the judges disagree: {by_head.offset:+.2f} s by the {SYNC}, "
            f"{by_onsets.offset:+.2f} s by the {ONSETS}"
        )
    return replace(by_onsets, judges=(*by_head.judges, *by_onsets.judges))


def _by_head(scores: TakeScores) -> Timing | str:
    if scores.sync_offset is None:
        return scores.unmeasured.get("sync_offset", "not measured")
    return _line(scores.sync_offsets, scores.sync_offset, SYNC)


def _by_onsets(scores: TakeScores, seconds: float) -> Timing | str:
    match, offsets = scores.onset_match, scores.onset_offsets
    if scores.onset_offset is None or match is None:
        return scores.unmeasured.get("onset_offset", "not measured")
    least = max(_LEAST_MATCH, _SURE_SECONDS / seconds)
    if not _cover_half(offsets, seconds):
        if match < least:
            return (
                f"onsets and motion match by {match:.2f}, of {seconds:.1f} s at least {least:.2f}"
            )
        if seconds > _SURE_SECONDS_ALONE and match < _SURE_MATCH:
            return f"onsets and motion match by {match:.2f} on the whole, but not in half of it"
    return _line(offsets, scores.onset_offset, ONSETS)


def _cover_half(offsets: Offsets, seconds: float) -> bool:
    """Whether windows match all over the take, as they do in one that drifts."""
    steps = [later - earlier for (earlier, _), (later, _) in pairwise(offsets)]
    return bool(steps) and len(offsets) * min(steps) >= seconds / 2


def _line(offsets: Offsets, whole: float, judge: str) -> Timing | str:
    """A line through the offsets of all windows: medians, which outliers do not move (Theil-Sen).

    Args:
        whole: the offset of the take as a whole, for takes of one window.
    """
    if len(offsets) < 2:
        return Timing(offset=whole, judges=(judge,))
    times, values = zip(*offsets, strict=True)
    span = times[-1] - times[0]
    drift = median((b - a) / (u - t) for (t, a), (u, b) in combinations(offsets, 2))
    if span < _DRIFT_SPAN or abs(drift) * span < _LEAST_DRIFT[judge]:
        drift = 0.0
    middle = times[0] + span / 2
    offset = median(value - drift * (time - middle) for time, value in offsets)
    apart = median(abs(value - offset - drift * (time - middle)) for time, value in offsets)
    if apart > _MOST_APART[judge]:
        return f"its windows disagree, from {min(values):+.2f} to {max(values):+.2f} s"
    return Timing(offset=offset, middle=middle, drift=drift, judges=(judge,))
