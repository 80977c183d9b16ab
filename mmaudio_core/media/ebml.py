"""Elements of a Matroska or WebM file (EBML, RFC 8794)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, kw_only=True)
class Element:
    """An element: its id, and where its header and its content begin and end."""

    id: int
    header: int
    start: int
    end: int


def find_element(file: BinaryIO, position: int, end: int, identifier: int) -> Element:
    """The first element with this id between two places."""
    while position < end:
        file.seek(position)
        element = next(list_elements(file.read(16), only_headers=True))
        element = Element(
            id=element.id,
            header=position,
            start=position + element.start,
            end=min(end, position + element.end),
        )
        if element.id == identifier:
            return element
        position = element.end
    raise AssertionError(f"got no element {identifier:#x}")


def list_elements(data: bytes, *, only_headers: bool = False) -> Iterator[Element]:
    """The elements in another one's content, in order; ``only_headers``: of the first alone."""
    position = 0
    while position < len(data):
        header = position
        length = 9 - data[position].bit_length()
        identifier = int.from_bytes(data[position : position + length], "big")
        position += length
        length = 9 - data[position].bit_length()
        marker = 1 << 7 * length
        size = int.from_bytes(data[position : position + length], "big") - marker
        position += length
        yield Element(id=identifier, header=header, start=position, end=position + size)
        if only_headers:
            return
        position += size


def make_element(identifier: int, content: bytes, size_length: int = 0) -> bytes:
    """An element; its size takes ``size_length`` bytes, or as few as it can."""
    size = len(content)
    length = size_length or next(n for n in range(1, 9) if size < (1 << 7 * n) - 1)
    head = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return head + (size | 1 << 7 * length).to_bytes(length, "big") + content
