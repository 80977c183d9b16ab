"""Languages and flags of the tracks written: set where libav's muxer does not, and read again."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from av.stream import Disposition

from ...media import VideoFile
from ..boxes import find_boxes, read_at, whole_file
from .tags import StreamNotes

_PACKABLE = re.compile(r"[a-z]{3}")
_FLAGS = {
    Disposition.forced: "forced",
    Disposition.hearing_impaired: "hearing impaired",
    Disposition.visual_impaired: "visual impaired",
    Disposition.comment: "commentary",
    Disposition.dub: "dubbed",
    Disposition.original: "original",
    Disposition.lyrics: "lyrics",
    Disposition.karaoke: "karaoke",
}


def set_languages(file: BinaryIO, tracks: Sequence[StreamNotes]) -> None:
    """Write the languages of a mov's tracks as ISO 639-2 codes, as in mp4.

    QuickTime knows both these and Macintosh's few, the only ones that libav writes.
    """
    (movie,) = find_boxes(file, whole_file(file), b"moov")
    for track, notes in zip(find_boxes(file, movie, b"trak"), tracks, strict=False):
        language = notes.tags.get("language", "")
        if not _PACKABLE.fullmatch(language):
            continue
        (media,) = find_boxes(file, track, b"mdia")
        (header,) = find_boxes(file, media, b"mdhd")
        code = 0
        for letter in language:
            code = code << 5 | ord(letter) - 0x60
        file.seek(header.start + (32 if read_at(file, header.start, 1)[0] else 20))
        file.write(struct.pack(">H", code))


def lost_labels(result: Path, tracks: Sequence[StreamNotes]) -> tuple[str, ...]:
    """What is said of the tracks but does not stand in a file.

    Args:
        result: the file.
        tracks: what is said of its tracks, in their order; further ones are not looked at.
    """
    lost: dict[str, None] = {}
    with VideoFile(result).open() as (container, _):
        for stream, notes in zip(container.streams, tracks, strict=False):
            language = notes.tags.get("language")
            if language and stream.metadata.get("language") != language:
                lost[f"track language {language}"] = None
            for flag, name in _FLAGS.items():
                if notes.disposition & flag.value & ~stream.disposition.value:
                    lost[f'track flag "{name}"'] = None
    return tuple(lost)
