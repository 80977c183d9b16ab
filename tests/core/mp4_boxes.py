"""Writing boxes (ISO/IEC 14496-12) into small mp4 files, to make those that PyAV cannot make.

The files must have their ``moov`` behind their ``mdat``, as PyAV writes them without faststart, so
that no offset changes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

TRACK = ("moov", "trak")
"""The first track."""
SAMPLE_ENTRY = (*TRACK, "mdia", "minf", "stbl", "stsd", "*")
"""The description of its samples, whatever its codec."""
_BEFORE_CHILDREN = {"stsd": 8, "*": 78}
"""Bytes of a box's own before those in it: of ``*``, a sample entry of video."""


def box(kind: str, payload: bytes = b"") -> bytes:
    """A box."""
    return struct.pack(">I4s", 8 + len(payload), kind.encode()) + payload


def full_box(kind: str, payload: bytes, version: int = 0) -> bytes:
    """A box with a version and no flags."""
    return box(kind, bytes([version, 0, 0, 0]) + payload)


def edit_box(path: Path, where: Sequence[str], change: Callable[[bytes], bytes]) -> None:
    """Replace the payload of the first box at a path of types, such as ``TRACK``."""
    path.write_bytes(_edit(path.read_bytes(), tuple(where), change))


def add_boxes(path: Path, *boxes: bytes, where: Sequence[str] = SAMPLE_ENTRY) -> None:
    """Put boxes at the end of the first one at a path of types."""
    edit_box(path, where, lambda payload: payload + b"".join(boxes))


def set_edits(path: Path, edits: Sequence[tuple[Fraction, Fraction]]) -> None:
    """Show only parts of the first track: (start, duration) of each in seconds.

    Replaces its edit list, and states the sum of the durations in the headers, in milliseconds.
    """
    data = path.read_bytes()
    header = data.index(b"mdhd") + 4
    unit = struct.unpack_from(">I", data, header + 12)[0]
    entries = [
        struct.pack(">IiI", round(duration * 1000), round(start * unit), 1 << 16)
        for start, duration in edits
    ]
    edts = box("edts", full_box("elst", struct.pack(">I", len(entries)) + b"".join(entries)))
    total = struct.pack(">I", round(sum(duration for _, duration in edits) * 1000))
    edit_box(path, (*TRACK, "tkhd"), lambda old: old[:20] + total + old[24:])
    edit_box(path, ("moov", "mvhd"), lambda old: old[:16] + total + old[20:])
    edit_box(path, TRACK, lambda old: _without(old, "edts") + edts)


def _without(payload: bytes, kind: str) -> bytes:
    parts = ((name, payload[start:end]) for name, start, end in _boxes(payload))
    return b"".join(part for name, part in parts if name != kind)


def _edit(data: bytes, where: tuple[str, ...], change: Callable[[bytes], bytes]) -> bytes:
    for kind, start, end in _boxes(data):
        if where[0] not in (kind, "*"):
            continue
        payload = data[start + 8 : end]
        if len(where) == 1:
            payload = change(payload)
        else:
            own = _BEFORE_CHILDREN.get(where[0], 0)
            payload = payload[:own] + _edit(payload[own:], where[1:], change)
        return data[:start] + box(kind, payload) + data[end:]
    raise AssertionError(f"got no box {where[0]}")


def _boxes(data: bytes) -> list[tuple[str, int, int]]:
    """Type, start and end of each box."""
    found: list[tuple[str, int, int]] = []
    position = 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        found.append((kind.decode("latin-1"), position, position + size))
        position += size
    return found
