"""Which container a file is, by its first bytes: the only ones that libav is given."""

from __future__ import annotations

from dataclasses import dataclass

SNIFFED_BYTES = 512
"""First bytes that decide."""

_TOP_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_TS_PACKETS = ((0, 188), (4, 192))
"""Offset of the sync byte, and length, of MPEG-TS packets; the second are M2TS."""
_OTHERS = (
    (b"#EXTM3U", "an HLS playlist"),
    (b"ffconcat", "a list of files"),
    (b"v=0", "a description of a stream (SDP)"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<", "an XML document"),
    (b"{", "a JSON document"),
    (b"[", "a playlist or a JSON document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"ID3", "sound without a picture"),
    (b"fLaC", "sound without a picture"),
    (b"\x1f\x8b", "a compressed file"),
    (b"PK\x03\x04", "a zip file"),
)


@dataclass(frozen=True)
class Container:
    """A container that videos come in.

    Attributes:
        demuxer: libav's name of what reads it.
        extension: of its files, with a dot.
    """

    demuxer: str
    extension: str


def sniff(head: bytes) -> Container | None:
    """The container of a file that begins with ``head``; None if it is no video.

    Playlists are none: libav would open the other files that they name.
    """
    if head[4:8] in _TOP_BOXES:  # ISO-BMFF
        return Container("mov", ".mov" if head[8:12] == b"qt  " else ".mp4")
    if head[:4] == b"\x1a\x45\xdf\xa3":  # EBML
        return Container("matroska", ".webm" if b"webm" in head[:64] else ".mkv")
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return Container("avi", ".avi")
    if head[:4] == b"FLV\x01":
        return Container("flv", ".flv")
    if head[:4] == b"OggS":
        return Container("ogg", ".ogv")
    if head[:4] == b"\x00\x00\x01\xba":
        return Container("mpeg", ".mpg")
    for offset, length in _TS_PACKETS:
        if head[offset : offset + 2 * length + 1 : length] == b"\x47" * 3:
            return Container("mpegts", ".ts")
    return None


def describe(head: bytes) -> str:
    """What a file that is no video seems to be."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    if head[:4] == b"RIFF":
        return {b"WEBP": "a picture", b"WAVE": "sound without a picture"}.get(
            head[8:12], "an unknown RIFF file"
        )
    found = (name for start, name in _OTHERS if text.startswith(start.lower()))
    return next(found, "data of an unknown kind")
