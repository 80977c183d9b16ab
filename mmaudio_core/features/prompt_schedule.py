"""Prompts over time: the words a person writes, and which latents hear which prompt.

``0-4: rain | 4-9: thunder --no music | 9-: birds``
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
from ..errors import MMAudioError

EXAMPLE = "0-4: rain | 4-9: thunder --no music"
_TIME = r"(?:\d+:[0-5])?\d+(?:\.\d+)?"
_ENTRY = re.compile(rf"(?P<start>{_TIME})\s*-\s*(?P<end>{_TIME})?\s*:(?P<words>.*)")
_NO = re.compile(r"(?:^|\s)--no(?=\s|$)")


class Crossfade(NamedTuple):
    """Where one prompt hands over to the next, in seconds; at once where start is end."""

    start: Fraction
    end: Fraction


@dataclass(frozen=True, kw_only=True)
class ScheduleEntry:
    """A stretch of time with a prompt of its own; None: that of the features."""

    start: Fraction
    end: Fraction
    prompt: str | None = None
    negative: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A section as it was written, and where."""

    section: ScheduleEntry
    place: str


def parse_schedule(schedule: str, duration: Fraction) -> tuple[ScheduleEntry, ...]:
    """Sections from 0 to ``duration``, in order; what no entry names has the features' prompt.

    Entries are ``start-end: prompt``, apart by ``|`` or on lines of their own; times are seconds or
    m:ss, an end left out is that of the sound. What follows ``--no`` is the entry's negative
    prompt. Neighbours may overlap.

    Raises:
        MMAudioError: what does not read as that, with its column; three prompts at one time; an
            entry past the end.
    """
    entries = [_entry(text, place, duration) for text, place in _pieces(schedule) if text.strip()]
    if not entries:
        raise MMAudioError(f"the schedule is empty: write prompts and times, such as {EXAMPLE}")
    for left, right in pairwise(entries):
        _check_order(left, right)
    for left, right in zip(entries, entries[2:], strict=False):
        if right.section.start < left.section.end:
            raise _error(
                right.place,
                f"a third prompt at {_said(right.section.start)} was got, at most two may overlap: "
                f"start it at {_said(left.section.end)} or later",
            )
    return _without_gaps([entry.section for entry in entries], duration)


def plan_crossfades(
    sections: Sequence[ScheduleEntry], crossfade: Fraction
) -> tuple[Crossfade, ...]:
    """One between each two sections.

    As long as they overlap, or ``crossfade`` seconds around where they meet; never so long that a
    section would not be heard alone.
    """
    middles = [(left.end + right.start) / 2 for left, right in pairwise(sections)]
    around = [sections[0].start, *middles, sections[-1].end]
    made: list[Crossfade] = []
    for index, (left, right) in enumerate(pairwise(sections)):
        before, middle, after = around[index : index + 3]
        half = max(left.end - right.start, min(crossfade, middle - before, after - middle)) / 2
        made.append(Crossfade(middle - half, middle + half))
    return tuple(made)


def prompt_weights(changes: Sequence[Crossfade], latents: int, fmt: AudioFormat) -> Tensor:
    """How much of each latent is each prompt's: (prompts, N); over the prompts they sum to 1."""
    seconds = fmt.samples_per_latent / fmt.sample_rate
    middle = (torch.arange(latents, dtype=torch.float64) + 0.5) * seconds
    heard = [torch.ones(latents, dtype=torch.float64)]
    for start, end in changes:
        width = max(float(end - start), 1e-9)
        heard.append(torch.minimum(heard[-1], ((middle - float(start)) / width).clamp(0, 1)))
    heard.append(torch.zeros(latents, dtype=torch.float64))
    return torch.stack([now - then for now, then in pairwise(heard)]).float()


def _pieces(schedule: str) -> list[tuple[str, str]]:
    """What lies between separators, and where each starts, for messages."""
    lines = schedule.splitlines()
    found: list[tuple[str, str]] = []
    for number, line in enumerate(lines, 1):
        at = 0
        for piece in line.split("|"):
            column = at + len(piece) - len(piece.lstrip()) + 1
            where = f"column {column}" if len(lines) == 1 else f"line {number}, column {column}"
            found.append((piece, where))
            at += len(piece) + 1
    return found


def _entry(text: str, place: str, duration: Fraction) -> _Entry:
    text = text.strip()
    match = _ENTRY.fullmatch(text)
    if match is None:
        raise _error(
            place,
            f'"{text}" was got, start-end: prompt was expected: write it such as {EXAMPLE}',
        )
    start = _seconds(match["start"])
    written = duration if match["end"] is None else _seconds(match["end"])
    end = min(written, duration)
    if start >= duration:
        raise _error(
            place,
            f"a start at {_said(start)} was got, but the sound ends at {_said(duration)}: lower "
            "it, or raise the duration of the features",
        )
    if end <= start:
        raise _error(
            place,
            f"{_said(start)} to {_said(written)} was got, an end after the start was expected: "
            "change one of them",
        )
    prompt, *negatives = (part.strip() for part in _NO.split(match["words"]))
    if len(negatives) > 1:
        raise _error(place, "--no was got twice, once was expected: put all words after one --no")
    negative = negatives[0] if negatives else None
    return _Entry(
        section=ScheduleEntry(start=start, end=end, prompt=prompt, negative=negative), place=place
    )


def _check_order(left: _Entry, right: _Entry) -> None:
    if right.section.start <= left.section.start or right.section.end < left.section.end:
        raise _error(
            right.place,
            f"{_said(right.section.start)} to {_said(right.section.end)} was got after "
            f"{_said(left.section.start)} to {_said(left.section.end)}, sections in the order of "
            "their starts and of their ends were expected: move it, or split the other in two",
        )


def _without_gaps(
    sections: Sequence[ScheduleEntry], duration: Fraction
) -> tuple[ScheduleEntry, ...]:
    filled: list[ScheduleEntry] = []
    at = Fraction(0)
    for section in sections:
        if section.start > at:
            filled.append(ScheduleEntry(start=at, end=section.start))
        filled.append(section)
        at = section.end
    if at < duration:
        filled.append(ScheduleEntry(start=at, end=duration))
    return tuple(filled)


def _seconds(text: str) -> Fraction:
    *minutes, seconds = text.split(":")
    return Fraction(seconds) + 60 * (int(minutes[0]) if minutes else 0)


def _said(seconds: Fraction) -> str:
    return f"{float(seconds):g} s"


def _error(place: str, what: str) -> MMAudioError:
    return MMAudioError(f"schedule, {place}: {what}")
