"""Ending an mp4 or mov track before its last frame, where libav's muxer shows all of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

_HEADER = struct.Struct(">I4s")


@dataclass(frozen=True, kw_only=True)
class _Box:
    """A box (ISO/IEC 14496-12): its type, and where in the file its payload is."""

    kind: bytes
    start: int
    end: int


def end_first_track(file: BinaryIO, duration: Fraction) -> None:
    """Let the first track be shown for ``duration`` seconds.

    Its last edit and the durations in the headers are shortened in place. Frames that begin later
    stay in the file, for those shown refer to them.
    """
    file.seek(0, 2)
    (movie,) = _find(file, _Box(kind=b"", start=0, end=file.tell()), b"moov")
    (movie_header,) = _find(file, movie, b"mvhd")
    tracks = _find(file, movie, b"trak")
    timescale = _Number(file, movie_header, 12, 20, wide=False).value
    ticks = int(duration * timescale)
    for edits in _find(file, tracks[0], b"edts"):
        (entries,) = _find(file, edits, b"elst")
        # libav writes one edit, after an empty one if the track begins late
        count = struct.unpack(">I", _read(file, entries.start + 4, 4))[0]
        size = 20 if _read(file, entries.start, 1)[0] else 12
        last = 8 + (count - 1) * size
        edit = _Number(file, entries, last, last)
        edit.lower(ticks)
    durations: list[int] = []
    for track in tracks:
        (header,) = _find(file, track, b"tkhd")
        number = _Number(file, header, 20, 28)
        if track is tracks[0]:
            number.lower(ticks)
        durations.append(number.value)
    _Number(file, movie_header, 16, 24).lower(max(durations))


class _Number:
    """A number in a box: 32 bits at one place in version 0, 64 at another in version 1.

    Args:
        wide: whether version 1 has 64 bits.
    """

    def __init__(
        self, file: BinaryIO, box: _Box, place: int, place_of_1: int, *, wide: bool = True
    ) -> None:
        version = _read(file, box.start, 1)[0]
        self._file = file
        self._place = box.start + (place_of_1 if version else place)
        self._form = struct.Struct(">Q" if version and wide else ">I")

    @property
    def value(self) -> int:
        """As it is in the file."""
        return self._form.unpack(_read(self._file, self._place, self._form.size))[0]

    def lower(self, limit: int) -> None:
        """Write ``limit`` if it is lower."""
        value = min(self.value, limit)
        self._file.seek(self._place)
        self._file.write(self._form.pack(value))


def _find(file: BinaryIO, parent: _Box, kind: bytes) -> list[_Box]:
    """The boxes of a type directly in another one."""
    return [box for box in _boxes(file, parent) if box.kind == kind]


def _boxes(file: BinaryIO, parent: _Box) -> Iterator[_Box]:
    position = parent.start
    while position < parent.end:
        size, kind = _HEADER.unpack(_read(file, position, _HEADER.size))
        start = position + _HEADER.size
        if size == 1:  # a 64-bit size follows
            size = struct.unpack(">Q", _read(file, start, 8))[0]
            start += 8
        position += size
        yield _Box(kind=kind, start=start, end=position)


def _read(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)
