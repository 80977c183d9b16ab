"""Ways to damage a file, all drawn from one seeded random generator."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from random import Random
from typing import Any

NUMBERS = (0, 1, 2, 7, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)
"""Limits of integer types, and other numbers that parsers get wrong."""
_HEAD = 1024
_FIELDS = (
    *(b"moov", b"trak", b"tkhd", b"mdhd", b"mvhd", b"elst", b"stsd", b"stts", b"ctts", b"stss"),
    *(b"stsc", b"stsz", b"stco", b"avcC", b"esds", b"hdlr", b"mdat", b"moof", b"trun", b"tfhd"),
    # Matroska: segment, seek head, info, time scale, tracks, entry, cluster, its time, cues, block
    *(b"\x18\x53\x80\x67", b"\x11\x4d\x9b\x74", b"\x15\x49\xa9\x66", b"\x2a\xd7\xb1"),
    *(b"\x16\x54\xae\x6b", b"\xae", b"\x1f\x43\xb6\x75", b"\xe7", b"\x1c\x53\xbb\x6b", b"\xa3"),
)
"""Names in mp4 and Matroska that have a length or a number close to them."""


def mutated(data: bytes, draw: Random) -> bytes:
    """``data`` damaged one to four times."""
    damaged = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        draw.choice(_DAMAGES)(damaged, draw)
    return bytes(damaged)


def mutated_safetensors(data: bytes, draw: Random) -> bytes:
    """A safetensors file with its length, its header, or any of its bytes damaged."""
    (length,) = struct.unpack("<Q", data[:8])
    way = draw.randrange(4)
    if way == 0:
        return mutated(data, draw)
    if way == 1:  # the header's length
        wrong = draw.choice((*NUMBERS, length + draw.randint(-9, 9), len(data), len(data) - 8))
        return struct.pack("<Q", max(0, wrong) % 2**64) + data[8:]
    header, body = data[8 : 8 + length], data[8 + length :]
    if way == 2:  # the header's text
        header = mutated(header, draw)
    else:
        entries = json.loads(header)
        for _ in range(draw.choice((1, 1, 3))):
            _damage_entry(entries, draw)
        header = json.dumps(entries).encode()
    if draw.random() < 0.2:
        body = mutated(body, draw)
    return struct.pack("<Q", len(header)) + header + body


def _damage_entry(entries: dict[str, Any], draw: Random) -> None:
    key = draw.choice([key for key in entries if key != "__metadata__"])
    entry = entries[key]
    way = draw.randrange(8)
    if way == 0:
        entry["data_offsets"][draw.randrange(2)] = draw.choice(NUMBERS)
    elif way == 1:
        entry["data_offsets"][draw.randrange(2)] += draw.choice((-1, 1, -4, 4, 4096))
    elif way == 2 and entry["shape"]:
        entry["shape"][draw.randrange(len(entry["shape"]))] = draw.choice(NUMBERS)
    elif way == 3:
        entry["shape"] = draw.choice(([], [0], [-1], entry["shape"][::-1], [*entry["shape"], 1]))
    elif way == 4:
        entry["dtype"] = draw.choice(("F16", "F64", "I8", "BOOL", "F8_E4M3", "X", "", 7, None))
    elif way == 5:
        del entries[key]
    elif way == 6:
        entries[draw.choice((key + "x", key[:-1], "", "\0", "é" * 9, "a." * 50 + "b"))] = entry
    else:
        entries["__metadata__"] = draw.choice((None, 7, {"a": 7}, {"mmaudio_standin": "x"}, []))


def _flip(data: bytearray, draw: Random) -> None:
    for _ in range(draw.choice((1, 1, 3, 20))):
        if data:
            data[_place(data, draw)] ^= 1 << draw.randrange(8)


def _overwrite(data: bytearray, draw: Random) -> None:
    begin = _place(data, draw)
    count = min(len(data) - begin, draw.choice((1, 4, 16, 300)))
    data[begin : begin + count] = _bytes(count, draw)


def _cut_tail(data: bytearray, draw: Random) -> None:
    del data[_place(data, draw) :]


def _cut_out(data: bytearray, draw: Random) -> None:
    begin = _place(data, draw)
    del data[begin : begin + draw.choice((1, 4, 8, 100, 2000))]


def _insert(data: bytearray, draw: Random) -> None:
    begin = _place(data, draw)
    data[begin:begin] = _bytes(draw.choice((1, 4, 8, 100, 2000)), draw)


def _repeat(data: bytearray, draw: Random) -> None:
    begin = _place(data, draw)
    data[begin:begin] = data[begin : begin + draw.choice((4, 64, 1000))]


def _length(data: bytearray, draw: Random) -> None:
    """Change a number close to one of ``_FIELDS``."""
    names = [name for name in _FIELDS if name in data]
    if not names:
        return _overwrite(data, draw)
    name = draw.choice(names)
    at = data.index(name)
    for _ in range(draw.randrange(3)):
        later = data.find(name, at + 1)
        at = later if later >= 0 else at
    size = draw.choice((1, 2, 4, 4, 8))
    place = at + draw.choice((-4, 0, *range(4, 40, 4), *range(1, 9)))
    if 0 <= place <= len(data) - size:
        old = int.from_bytes(data[place : place + size], "big")
        new = draw.choice((*NUMBERS, old + 1, old - 1, old * 2, old // 2, old ^ 0x80))
        data[place : place + size] = (new % 256**size).to_bytes(size, "big")
    return None


def _place(data: bytearray, draw: Random) -> int:
    """A random position, often near the beginning or end, where headers and indexes are."""
    if not data:
        return 0
    near = min(len(data), _HEAD)
    place = draw.choice((draw.randrange(near), draw.randrange(len(data)), len(data) - near))
    return place if place != len(data) - near else place + draw.randrange(near)


def _bytes(count: int, draw: Random) -> bytes:
    return draw.choice((bytes(count), b"\xff" * count, draw.randbytes(count)))


_DAMAGES: tuple[Callable[[bytearray, Random], None], ...] = (
    *(_flip, _overwrite, _cut_tail, _cut_out, _insert, _repeat),
    *(_length,) * 4,
)
