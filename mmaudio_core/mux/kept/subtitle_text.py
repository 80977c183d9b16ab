"""Text subtitles in another codec: their words and lines; styles and places are left out."""

from __future__ import annotations

import html
import io
import re
import struct

from av.container import InputContainer

from ...media.compat import open_input
from ..boxes import make_box

_TEXT = {"mov_text", "subrip", "srt", "text", "ass", "ssa", "webvtt"}
"""libav's names of the codecs that are read."""
_MARKUP = re.compile(r"<[^<>]*>")
_ASS_OVERRIDE = re.compile(r"\{[^{}]*\}")
_ASS_FIELDS = 8
"""Fields before the text of a line of ASS as Matroska stores it."""
_ASS_STYLE, _ASS_PLAIN = 2, ("Default", "")
"""The field of a line's style, and the style that says nothing."""
TARGETS = {"mp4": "mov_text", "mov": "mov_text", "mkv": "subrip", "webm": "webvtt"}
"""The codec of text that each container takes."""


def is_text(codec: str) -> bool:
    """Whether subtitles of this codec can be converted."""
    return codec in _TEXT


def convert_text(data: bytes, codec: str, target: str) -> bytes:
    """A subtitle's packet in another codec; empty if it shows nothing."""
    text = _read(data, codec).replace("\r\n", "\n").strip("\n\0 ")
    if not text:
        return b""
    if target == "mov_text":
        encoded = text.encode()[:65535]
        return struct.pack(">H", len(encoded)) + encoded
    if target == "webvtt":
        text = html.escape(text, quote=False)
    return "\n".join(line for line in text.split("\n") if line).encode()


def has_styles(data: bytes, codec: str) -> bool:
    """Whether a subtitle's packet says how its text looks, or where."""
    if codec == "mov_text":  # boxes follow the text
        return len(data) > 2 + int.from_bytes(data[:2], "big")
    text = data.decode("utf-8", "replace")
    if codec in ("ass", "ssa"):
        fields = text.split(",", _ASS_FIELDS)
        styled = len(fields) > _ASS_STYLE and fields[_ASS_STYLE].strip("* ") not in _ASS_PLAIN
        return styled or _ASS_OVERRIDE.search(fields[-1]) is not None
    if codec == "text":
        return False
    return _MARKUP.search(text) is not None or _ASS_OVERRIDE.search(text) is not None


def text_template(target: str) -> InputContainer:
    """A file whose only stream is of the codec ``target``, to add streams like it."""
    files = {
        "subrip": b"1\n00:00:00,000 --> 00:00:01,000\n-\n",
        "webvtt": b"WEBVTT\n\n00:00.000 --> 00:01.000\n-\n",
        "mov_text": _mov_text_file(),
    }
    return open_input(io.BytesIO(files[target]))


def _read(data: bytes, codec: str) -> str:
    if codec == "mov_text":
        (length,) = struct.unpack(">H", data[:2].ljust(2, b"\0"))
        data = data[2 : 2 + length]
        wide = data[:2] in (b"\xfe\xff", b"\xff\xfe")
        return data.decode("utf-16" if wide else "utf-8", "replace")
    text = data.decode("utf-8", "replace")
    if codec in ("ass", "ssa"):
        text = text.split(",", _ASS_FIELDS)[-1]
        text = _ASS_OVERRIDE.sub("", text)
        return text.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", "\u00a0")
    text = _ASS_OVERRIDE.sub("", _MARKUP.sub("", text)) if codec != "text" else text
    return html.unescape(text) if codec == "webvtt" else text


def _mov_text_file() -> bytes:
    """An mp4 file (ISO/IEC 14496-12) with one empty track of timed text (3GPP TS 26.245)."""
    style = struct.pack(">3H2B4B", 0, 0, 1, 0, 18, 255, 255, 255, 255)
    fonts = make_box(b"ftab", struct.pack(">2HB", 1, 1, 5) + b"Serif")
    look = struct.pack(">I2b4B8x", 0, 1, -1, 0, 0, 0, 0) + style
    entry = make_box(b"tx3g", struct.pack(">6xH", 1) + look + fonts)
    empty = bytes(4)
    table = make_box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1) + entry),
        _full(b"stts", empty),
        _full(b"stsc", empty),
        _full(b"stsz", bytes(8)),
        _full(b"stco", empty),
    )
    place = make_box(b"dinf", _full(b"dref", struct.pack(">I", 1) + make_box(b"url ", b"\0\0\0\1")))
    media = make_box(
        b"mdia",
        _full(b"mdhd", struct.pack(">4I2H", 0, 0, 1000, 0, 0x55C4, 0)),
        _full(b"hdlr", struct.pack(">4x4s13x", b"sbtl")),
        make_box(b"minf", _full(b"nmhd"), place, table),
    )
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    header = _full(b"tkhd", struct.pack(">5I16x", 0, 0, 1, 0, 0) + matrix + bytes(8))
    movie = struct.pack(">4IIH10x", 0, 0, 1000, 0, 0x10000, 0x100) + matrix + bytes(24)
    track = make_box(b"trak", header, media)
    return make_box(b"ftyp", b"isom\0\0\2\0isom") + make_box(
        b"moov", _full(b"mvhd", movie + struct.pack(">I", 2)), track
    )


def _full(kind: bytes, content: bytes = b"") -> bytes:
    """A box with version and flags, both 0."""
    return make_box(kind, bytes(4), content)
