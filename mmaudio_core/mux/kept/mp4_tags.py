"""Tags of an mp4 or mov file that libav's muxer leaves out beside those under their own names.

It writes either the names that iTunes knows, with cover pictures, or any names, such as ComfyUI's,
without them. So any names are written, with one more tag whose room is then used for the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from ..boxes import find_boxes, list_boxes, make_box, read_at, whole_file

ROOM = "mmaudio_room"
"""The name of the tag whose room is used."""
_USER_DATA = {
    "title": b"\xa9nam",
    "artist": b"\xa9ART",
    "album": b"\xa9alb",
    "date": b"\xa9day",
    "genre": b"\xa9gen",
    "comment": b"\xa9cmt",
    "copyright": b"\xa9cpy",
    "description": b"\xa9des",
}
"""QuickTime's user data, which players look for."""
_UNDETERMINED = 0x55C4
"""The language "und" (ISO 639-2)."""
_PICTURE_TYPES = {"mjpeg": 13, "png": 14, "bmp": 27}


def holds_cover(codec: str) -> bool:
    """Whether a picture of this codec can be a cover."""
    return codec in _PICTURE_TYPES


def user_data(tags: Mapping[str, str]) -> bytes:
    """Boxes of user data for the tags that players look for."""
    boxes: list[bytes] = []
    for name, kind in _USER_DATA.items():
        text = tags.get(name, "").encode(errors="replace")
        if text and len(text) < 1 << 16:
            boxes.append(make_box(kind, struct.pack(">2H", len(text), _UNDETERMINED), text))
    return b"".join(boxes)


def cover_item(covers: Sequence[tuple[str, bytes]]) -> bytes:
    """The item that holds cover pictures, each of a codec and its data; empty if there are none."""
    pictures = [
        make_box(b"data", struct.pack(">2I", _PICTURE_TYPES[codec], 0), data)
        for codec, data in covers
    ]
    return make_box(b"covr", *pictures) if pictures else b""


def fill_room(file: BinaryIO, cover: bytes, user: bytes) -> None:
    """Put a cover's item and user data into the room of the tag ``ROOM``.

    Its value has to be as long as both together.
    """
    (movie,) = find_boxes(file, whole_file(file), b"moov")
    (data,) = find_boxes(file, movie, b"udta")
    parts: list[bytes] = []
    for box in list_boxes(file, data):
        if box.kind != b"meta":
            parts.append(read_at(file, box.header, box.end - box.header))
            continue
        (handler,) = find_boxes(file, box, b"hdlr", 4)
        (keys,) = find_boxes(file, box, b"keys", 4)
        (items,) = find_boxes(file, box, b"ilst", 4)
        names = [read_at(file, key.start, key.end - key.start) for key in list_boxes(file, keys, 8)]
        values = [
            read_at(file, item.start, item.end - item.start) for item in list_boxes(file, items)
        ]
        room = names.index(ROOM.encode())
        del names[room], values[room]
        count = struct.pack(">2I", 0, len(names))
        numbered = [make_box(struct.pack(">I", i), value) for i, value in enumerate(values, 1)]
        parts += [
            make_box(
                b"meta",
                bytes(4),
                read_at(file, handler.header, handler.end - handler.header),
                make_box(b"keys", count, *(make_box(b"mdta", name) for name in names)),
                make_box(b"ilst", *numbered, cover),
            ),
            user,
        ]
    filled = b"".join(parts)
    left = data.end - data.start - len(filled) - 8
    file.seek(data.start)
    file.write(filled + make_box(b"free", bytes(left)))
