"""Ending an mp4 or mov track before its last frame, where libav's muxer shows all of them."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import BinaryIO

from .boxes import Box, find_boxes, read_at, whole_file


def end_first_track(file: BinaryIO, duration: Fraction) -> None:
    """Let the first track be shown for ``duration`` seconds.

    Its last edit and the durations in the headers are shortened in place. Frames that begin later
    stay in the file, for those shown refer to them.
    """
    (movie,) = find_boxes(file, whole_file(file), b"moov")
    (movie_header,) = find_boxes(file, movie, b"mvhd")
    tracks = find_boxes(file, movie, b"trak")
    timescale = _Number(file, movie_header, 12, 20, wide=False).value
    ticks = int(duration * timescale)
    for edits in find_boxes(file, tracks[0], b"edts"):
        (entries,) = find_boxes(file, edits, b"elst")
        # libav writes one edit, after an empty one if the track begins late
        count = struct.unpack(">I", read_at(file, entries.start + 4, 4))[0]
        size = 20 if read_at(file, entries.start, 1)[0] else 12
        last = 8 + (count - 1) * size
        edit = _Number(file, entries, last, last)
        edit.lower(ticks)
    durations: list[int] = []
    for track in tracks:
        (header,) = find_boxes(file, track, b"tkhd")
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
        self, file: BinaryIO, box: Box, place: int, place_of_1: int, *, wide: bool = True
    ) -> None:
        version = read_at(file, box.start, 1)[0]
        self._file = file
        self._place = box.start + (place_of_1 if version else place)
        self._form = struct.Struct(">Q" if version and wide else ">I")

    @property
    def value(self) -> int:
        """As it is in the file."""
        return self._form.unpack(read_at(self._file, self._place, self._form.size))[0]

    def lower(self, limit: int) -> None:
        """Write ``limit`` if it is lower."""
        value = min(self.value, limit)
        self._file.seek(self._place)
        self._file.write(self._form.pack(value))
