"""Where recordings are cut into pieces of one length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from ..config import CLIP_FPS

_WORTH_A_PIECE = Fraction(1, 4)  # of a piece, left over at the end of a scene


def piece_starts(
    duration: Fraction,
    length: Fraction,
    overlap: Fraction = Fraction(0),
    cuts: Sequence[float] = (),
) -> tuple[Fraction, ...]:
    """Where pieces of ``length`` seconds begin, in seconds, on the grid of CLIP's frames.

    No piece crosses the border of a scene that is at least as long as a piece. Scenes that are
    shorter are taken together with their neighbors that are short, too. What is left over at the
    end of a scene is covered by one more piece that ends there and overlaps the one before, if it
    is a quarter of a piece or more.

    Args:
        duration: seconds of the recording.
        length: seconds of a piece.
        overlap: seconds that consecutive pieces share; less than ``length``.
        cuts: times of scene changes.
    """
    starts: list[Fraction] = []
    for begin, end in _scenes(duration, length, cuts):
        here: list[Fraction] = []
        step = max(length - overlap, Fraction(1, CLIP_FPS))
        start = Fraction(math.ceil(begin * CLIP_FPS), CLIP_FPS)
        while start + length <= end:
            here.append(Fraction(math.floor(start * CLIP_FPS), CLIP_FPS))
            start += step
        last = Fraction(math.floor((end - length) * CLIP_FPS), CLIP_FPS)
        if here and last - here[-1] >= length * _WORTH_A_PIECE:
            here.append(last)
        starts += here
    return tuple(starts)


def _scenes(
    duration: Fraction, length: Fraction, cuts: Sequence[float]
) -> list[tuple[Fraction, Fraction]]:
    """Begin and end of what is cut as one: long scenes, and runs of short ones."""
    times = [Fraction(0), *(Fraction(cut) for cut in sorted(cuts) if 0 < cut < duration), duration]
    scenes: list[tuple[Fraction, Fraction]] = []
    run: Fraction | None = None  # begin of the short scenes since the last long one
    for begin, end in pairwise(times):
        if end - begin < length:
            run = begin if run is None else run
            continue
        if run is not None:
            scenes.append((run, begin))
            run = None
        scenes.append((begin, end))
    if run is not None:
        scenes.append((run, duration))
    return scenes
