"""Boxes of an mp4 or mov file (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_HEADER = struct.Struct(">I4s")


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box: its type, and where in the file it and its payload begin and where both end."""

    kind: bytes
    header: int
    start: int
    end: int


def whole_file(file: BinaryIO) -> Box:
    """The file as the box that holds all others."""
    return Box(kind=b"", header=0, start=0, end=file.seek(0, 2))


def find_boxes(file: BinaryIO, parent: Box, kind: bytes, skip: int = 0) -> list[Box]:
    """The boxes of a type directly in another one, which begin ``skip`` bytes into its payload."""
    return [box for box in list_boxes(file, parent, skip) if box.kind == kind]


def list_boxes(file: BinaryIO, parent: Box, skip: int = 0) -> Iterator[Box]:
    """The boxes directly in another one, in order."""
    position = parent.start + skip
    while position < parent.end:
        header = position
        size, kind = _HEADER.unpack(read_at(file, position, _HEADER.size))
        start = position + _HEADER.size
        if size == 1:  # a 64-bit size follows
            size = struct.unpack(">Q", read_at(file, start, 8))[0]
            start += 8
        position += size
        yield Box(kind=kind, header=header, start=start, end=position)


def read_at(file: BinaryIO, position: int, count: int) -> bytes:
    """``count`` bytes from a place in the file."""
    file.seek(position)
    return file.read(count)


def make_box(kind: bytes, *content: bytes) -> bytes:
    """A box with a payload."""
    payload = b"".join(content)
    return _HEADER.pack(_HEADER.size + len(payload), kind) + payload
