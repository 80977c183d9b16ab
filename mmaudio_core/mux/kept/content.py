"""What a file holds besides its main picture and its sound, read before it is written again."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition, Stream

from ...media import VideoFile
from ...media.compat import (
    Chapter,
    can_attach,
    can_copy,
    hides_chapters,
    is_chapter_text,
    read_chapters,
)
from ...media.timestamps import average_rate
from .tags import StreamNotes, file_tags, stream_notes
from .timecode import read_timecode, shift_timecode

_HIDDEN = Disposition.attached_pic | Disposition.timed_thumbnails
_ENDS = 1 << 20
"""Bytes at each end of a file, in one of which chapters are told."""
_IMAGE_BRANDS = {"avif", "avis", "heic", "mif1", "msf1"}


class Cover(NamedTuple):
    """A picture that stands for the file.

    Attributes:
        codec: mjpeg, png or bmp, as libav names them.
        data: an image file.
        name: its file name.
    """

    codec: str
    data: bytes
    name: str


class Attachment(NamedTuple):
    """A file within the file, such as a font for subtitles."""

    name: str
    mime_type: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class TimedTrack:
    """A track of subtitles or data.

    Attributes:
        index: which of the file's streams it is.
        kind: ``subtitle`` or ``data``.
        codec: libav's name of it; empty if it has none.
        notes: what is said of it.
    """

    index: int
    kind: str
    codec: str
    notes: StreamNotes


@dataclass(frozen=True, kw_only=True)
class KeptContent:
    """What is kept of a file, over the part of it that is used.

    Attributes:
        video: the file; None if the video is none.
        start: when that part begins, in seconds of the file's own clock.
        duration: how many seconds it lasts.
        tags: of the file; keys in lower case.
        picture: what is said of the main video stream.
        timecode: of the first frame; None if there is none.
        counts_timecode: whether it fits the frame rate, as mp4 and mov require.
        chapters: with times relative to the part.
        tracks: in the order of the file.
        other_pictures: whether the file has further video streams, none of which is kept.
        beyond_pyav: names of what only a newer PyAV keeps.
    """

    video: VideoFile | None = None
    start: Fraction = Fraction(0)
    duration: Fraction = Fraction(0)
    tags: Mapping[str, str] = field(default_factory=lambda: {})
    picture: StreamNotes = field(default_factory=StreamNotes)
    timecode: str | None = None
    counts_timecode: bool = False
    chapters: tuple[Chapter, ...] = ()
    covers: tuple[Cover, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    tracks: tuple[TimedTrack, ...] = ()
    other_pictures: bool = False
    beyond_pyav: tuple[str, ...] = ()


def read_content(
    video: VideoFile, start: Fraction, duration: Fraction, *, metadata: bool
) -> KeptContent:
    """Read what a file holds besides picture and sound.

    Args:
        video: the file.
        start, duration: the part of it that is used, in seconds after its first frame.
        metadata: whether its tags, chapters, data, timecode, pictures and attachments are kept;
            otherwise only subtitles, languages and dispositions.
    """
    with video.open() as (container, stream):
        tracks = _tracks(container, metadata=metadata)
        content = KeptContent(
            video=video,
            duration=duration,
            picture=stream_notes(stream, metadata=metadata),
            tracks=tuple(track for track in tracks if can_copy(container.streams[track.index])),
            other_pictures=_has_other_pictures(container, stream),
        )
        if metadata:
            tags = file_tags(container)
            timecode = read_timecode(container)
            shifted = timecode and shift_timecode(timecode, start, average_rate(stream))
            content = replace(
                content,
                tags=tags,
                timecode=timecode if shifted is None and not start else shifted,
                counts_timecode=shifted is not None,
                covers=tuple(_covers(container)),
                attachments=tuple(_attachments(container)),
                beyond_pyav=tuple(_beyond_pyav(video, container, tracks)),
            )
            chapters = read_chapters(container)
        else:
            chapters = []
    if chapters or content.tracks:
        begin = video.packets.start + start
        content = replace(content, start=begin, chapters=_cut(chapters, begin, duration))
    return content


def _tracks(container: InputContainer, *, metadata: bool) -> list[TimedTrack]:
    found: list[TimedTrack] = []
    for stream in container.streams:
        if stream.type == "data":
            if not metadata or is_chapter_text(stream) or "timecode" in stream.metadata:
                continue
        elif stream.type != "subtitle":
            continue
        codec = stream.codec_context.codec.canonical_name if stream.codec_context else ""
        notes = stream_notes(stream, metadata=metadata)
        found.append(TimedTrack(index=stream.index, kind=stream.type, codec=codec, notes=notes))
    return found


def _covers(container: InputContainer) -> list[Cover]:
    streams = [
        stream
        for stream in container.streams.video
        if stream.disposition & _HIDDEN == Disposition.attached_pic and stream.codec_context
    ]
    data: dict[int, bytes] = {}
    if streams:
        with suppress(FFmpegError):
            for packet in container.demux(streams):  # libav returns them before all else
                data.setdefault(packet.stream.index, bytes(packet))
                if len(data) == len(streams):
                    break
    return [
        Cover(
            stream.codec_context.codec.canonical_name,
            data[stream.index],
            stream.metadata.get("filename") or stream.metadata.get("title") or "cover",
        )
        for stream in streams
        if data.get(stream.index)
    ]


def _attachments(container: InputContainer) -> list[Attachment]:
    found: list[Attachment] = []
    for stream in container.streams:
        data = getattr(stream, "data", None)
        if stream.type == "attachment" and isinstance(data, bytes):
            tags = {key.lower(): value for key, value in stream.metadata.items()}
            kind = tags.get("mimetype", "application/octet-stream")
            found.append(Attachment(tags.get("filename", "attachment"), kind, data))
    return found


def _has_other_pictures(container: InputContainer, main: Stream) -> bool:
    if container.metadata.get("major_brand") in _IMAGE_BRANDS:
        return False
    return any(
        stream.index != main.index and not stream.disposition & _HIDDEN
        for stream in container.streams.video
    )


def _beyond_pyav(
    video: VideoFile, container: InputContainer, tracks: list[TimedTrack]
) -> list[str]:
    found: list[str] = []
    if hides_chapters(video.read_ends(_ENDS)):
        found.append("chapters")
    if any(stream.type == "attachment" for stream in container.streams) and not can_attach():
        found.append("attachments")
    if not all(can_copy(container.streams[track.index]) for track in tracks):
        found.append("data track")
    return found


def _cut(chapters: list[Chapter], start: Fraction, duration: Fraction) -> tuple[Chapter, ...]:
    """The chapters within a part, with times relative to it."""
    moved = [
        Chapter(max(Fraction(0), chapter.start - start), min(duration, chapter.end - start), tags)
        for chapter in chapters
        for tags in [chapter.tags]
    ]
    return tuple(chapter for chapter in moved if chapter.start < chapter.end)
