"""What passes between the stages of an item: everything here can be sent to another process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from torch import Tensor

from ..media import FrameChunk

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class InputFacts:
    """What tells whether an input is still the one that a result was made of.

    Attributes:
        size: in bytes.
        changed: of a local file the time of its last change in ns; of a remote one its ETag or the
            like; None if there is no telling without reading it.
        digest: of the whole content; None if it was not read.
    """

    size: int
    changed: int | str | None
    digest: str | None = None


@dataclass(frozen=True, kw_only=True)
class DecodedItem:
    """An item's picture, as the encoders take it.

    Attributes:
        requested: seconds of sound that were asked for; 0 to the end of the video.
        duration: seconds of sound that will be made.
        chunks: frames; None if they are to be read while they are encoded, because they are too
            many to hold, or if there are none.
        image: (H, W, C) in [0, 1], of a still picture.
        input: of the video; None without one.
        notes: what the user should know, a sentence each.
        seconds: that each stage took so far.
    """

    requested: Fraction
    duration: Fraction
    chunks: tuple[FrameChunk, ...] | None = None
    image: Tensor | None = None
    input: InputFacts | None = None
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, kw_only=True)
class GeneratedSound:
    """An item's takes.

    Attributes:
        waveforms: (takes, 1, T) float32 in [-1, 1], of those that are kept, the best first if they
            were chosen.
        sample_rate: in Hz.
        seeds: of each.
        scores: of each take, by name; empty if none were asked for.
        unmeasured: of each take, why scores of it are None, by name.
        input, notes, seconds: as in ``DecodedItem``.
    """

    waveforms: Tensor
    sample_rate: int
    seeds: tuple[int, ...]
    scores: tuple[Mapping[str, float | None], ...] = ()
    unmeasured: tuple[Mapping[str, str], ...] = ()
    input: InputFacts | None = None
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an item has no result.

    Attributes:
        stage: decode, generate or write; crash if the process ended each time.
        reason: what a user reads.
        trace: what a programmer reads.
    """

    stage: str
    reason: str
    trace: str = ""


def caught(stage: str, work: Callable[[], T]) -> T | Failure:
    """The result of ``work``, or its exception as data; what ends the process passes through."""
    try:
        return work()
    except Exception as error:
        reason = str(error) or type(error).__name__
        return Failure(stage=stage, reason=reason, trace=traceback.format_exc())


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Generator[None, None, None]:
    """Add the seconds that the block takes to ``seconds[stage]``."""
    begin = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - begin
