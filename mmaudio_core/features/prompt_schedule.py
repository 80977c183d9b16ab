"""Prompt schedules: parsing, crossfades, and the weight of each prompt over time.

Example: ``0-4: rain | 4-9: thunder --no music | 9-: birds``
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import AudioFormat
from ..errors import MMAudioError, Problem

EXAMPLE = "0-4: rain | 4-9: thunder --no music"
_TIME = r"(?:\d+:[0-5])?\d+(?:\.\d+)?"
_ENTRY = re.compile(rf"(?P<start>{_TIME})\s*-\s*(?P<end>{_TIME})?\s*:(?P<prompts>.*)")
_NO = re.compile(r"(?:^|\s)--no(?=\s|$)")


class Crossfade(NamedTuple):
    """Transition from one prompt to the next, in seconds; a hard switch if start equals end."""

    start: Fraction
    end: Fraction


@dataclass(frozen=True, kw_only=True)
class ScheduleEntry:
    """Prompts from ``start`` to ``end`` seconds; None stands for the prompt of the features."""

    start: Fraction
    end: Fraction
    prompt: str | None = None
    negative: str | None = None


@dataclass(frozen=True, kw_only=True)
class _LocatedEntry:
    """An entry and its location in the schedule's text, for error messages."""

    entry: ScheduleEntry
    location: str


def parse_schedule(schedule: str, duration: Fraction) -> tuple[ScheduleEntry, ...]:
    """Parse a schedule into consecutive entries that cover 0 to ``duration``.

    Entries have the form ``start-end: prompt`` and are separated by ``|`` or newlines. Times are
    seconds or m:ss; a missing end is ``duration``. Text after ``--no`` is the entry's negative
    prompt. Consecutive entries may overlap; gaps are filled by entries without prompts.

    Raises:
        MMAudioError: the syntax is invalid, entries are out of order, three overlap, or one starts
            past the end; the message gives line and column.
    """
    entries = [
        _parse_entry(text, location, duration)
        for text, location in _split_entries(schedule)
        if text.strip()
    ]
    if not entries:
        raise MMAudioError(
            f"got an empty schedule, expected times and prompts, such as {EXAMPLE}",
            Problem.SCHEDULE,
        )
    for left, right in pairwise(entries):
        _check_order(left, right)
    for left, right in zip(entries, entries[2:], strict=False):
        if right.entry.start < left.entry.end:
            raise _error(
                right.location,
                f"got a third prompt at {_format(right.entry.start)}, expected at most two at a "
                f"time: start it at {_format(left.entry.end)} or later",
            )
    return _fill_gaps([located.entry for located in entries], duration)


def plan_crossfades(entries: Sequence[ScheduleEntry], crossfade: Fraction) -> tuple[Crossfade, ...]:
    """Crossfades between consecutive entries.

    A crossfade spans the overlap of its entries, or else ``crossfade`` seconds centered on their
    boundary, shortened so that no entry is only ever heard mixed with another.
    """
    boundaries = [(left.end + right.start) / 2 for left, right in pairwise(entries)]
    times = [entries[0].start, *boundaries, entries[-1].end]
    crossfades: list[Crossfade] = []
    for index, (left, right) in enumerate(pairwise(entries)):
        previous, boundary, following = times[index : index + 3]
        longest = min(crossfade, boundary - previous, following - boundary)
        half = max(left.end - right.start, longest) / 2
        crossfades.append(Crossfade(boundary - half, boundary + half))
    return tuple(crossfades)


def prompt_weights(crossfades: Sequence[Crossfade], latents: int, fmt: AudioFormat) -> Tensor:
    """Weight of each prompt at each latent: (prompts, latents); the columns sum to 1."""
    centers = (torch.arange(latents, dtype=torch.float64) + 0.5) * fmt.seconds_per_latent
    # row k: total weight of prompts k and later
    remaining = [torch.ones(latents, dtype=torch.float64)]
    for start, end in crossfades:
        width = max(float(end - start), 1e-9)
        ramp = ((centers - float(start)) / width).clamp(0, 1)
        remaining.append(torch.minimum(remaining[-1], ramp))
    remaining.append(torch.zeros(latents, dtype=torch.float64))
    return torch.stack([this - later for this, later in pairwise(remaining)]).float()


def _split_entries(schedule: str) -> list[tuple[str, str]]:
    """Texts between the separators, each with its location."""
    lines = schedule.splitlines()
    texts: list[tuple[str, str]] = []
    for number, line in enumerate(lines, 1):
        offset = 0
        for text in line.split("|"):
            column = offset + len(text) - len(text.lstrip()) + 1
            location = f"column {column}" if len(lines) == 1 else f"line {number}, column {column}"
            texts.append((text, location))
            offset += len(text) + 1
    return texts


def _parse_entry(text: str, location: str, duration: Fraction) -> _LocatedEntry:
    text = text.strip()
    match = _ENTRY.fullmatch(text)
    if match is None:
        raise _error(location, f'got "{text}", expected "start-end: prompt", such as {EXAMPLE}')
    start = _parse_time(match["start"])
    written_end = duration if match["end"] is None else _parse_time(match["end"])
    end = min(written_end, duration)
    if start >= duration:
        raise _error(
            location,
            f"got a start at {_format(start)}, expected one before the end of the audio at "
            f"{_format(duration)}",
        )
    if end <= start:
        raise _error(
            location,
            f"got {_format(start)} to {_format(written_end)}, expected an end after the start",
        )
    prompt, *negatives = (part.strip() for part in _NO.split(match["prompts"]))
    if len(negatives) > 1:
        raise _error(location, f"got {len(negatives)} times --no, expected it at most once")
    negative = negatives[0] if negatives else None
    entry = ScheduleEntry(start=start, end=end, prompt=prompt, negative=negative)
    return _LocatedEntry(entry=entry, location=location)


def _check_order(left: _LocatedEntry, right: _LocatedEntry) -> None:
    earlier, later = left.entry, right.entry
    if later.start <= earlier.start or later.end < earlier.end:
        raise _error(
            right.location,
            f"got {_format(later.start)} to {_format(later.end)} after {_format(earlier.start)} "
            f"to {_format(earlier.end)}, expected starts and ends in ascending order",
        )


def _fill_gaps(entries: Sequence[ScheduleEntry], duration: Fraction) -> tuple[ScheduleEntry, ...]:
    filled: list[ScheduleEntry] = []
    end = Fraction(0)
    for entry in entries:
        if entry.start > end:
            filled.append(ScheduleEntry(start=end, end=entry.start))
        filled.append(entry)
        end = entry.end
    if end < duration:
        filled.append(ScheduleEntry(start=end, end=duration))
    return tuple(filled)


def _parse_time(text: str) -> Fraction:
    *minutes, seconds = text.split(":")
    return Fraction(seconds) + 60 * (int(minutes[0]) if minutes else 0)


def _format(seconds: Fraction) -> str:
    return f"{float(seconds):g} s"


def _error(location: str, message: str) -> MMAudioError:
    return MMAudioError(f"schedule, {location}: {message}", Problem.SCHEDULE)
