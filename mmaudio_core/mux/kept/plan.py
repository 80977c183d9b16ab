"""What of a file's further content a container holds, and how the rest is converted or told."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream

from ...media import VideoFile
from ...media.compat import can_attach
from ..atomic_output import OutputFile, open_output
from .content import KeptContent, TimedTrack
from .mp4_tags import ROOM, cover_item, fill_room, holds_cover, user_data
from .subtitle_text import TARGETS, is_text
from .tags import describe
from .timecode import read_timecode

_MP4 = ("mp4", "mov")
_COVER_FILES = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png")}
"""Suffix and MIME type of a cover's file."""


@dataclass(frozen=True, kw_only=True)
class KeptPlan:
    """What is written beside picture and sound.

    Attributes:
        content: what is kept; only what the container holds.
        container: mp4, mov, mkv or webm.
        converted: which tracks' codec is changed, and into which.
        tags: of the new file.
        lost: names of what the container cannot hold.
        notes: what else is not as before, a sentence each.
    """

    content: KeptContent
    container: str
    converted: Mapping[int, str]
    tags: Mapping[str, str]
    lost: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def file_tags(self) -> dict[str, str]:
        """The tags with those that have to be set for ``finish``."""
        room = len(self._cover) + len(self._user_data)
        return {**self.tags, ROOM: "~" * room} if room else dict(self.tags)

    def only(self, track: TimedTrack) -> KeptPlan:
        """One of its tracks, and nothing else."""
        content = replace(self.content, tracks=(track,), chapters=(), covers=(), attachments=())
        converted = {i: target for i, target in self.converted.items() if i == track.index}
        return replace(self, content=content, converted=converted)

    def describe_picture(self, stream: Stream) -> None:
        """Say of the new picture what is said of the source's."""
        describe(stream, self.content.picture)
        if self.content.timecode is not None:
            stream.metadata["timecode"] = self.content.timecode

    def finish(self, output: OutputFile) -> None:
        """Let a file have what libav's muxer leaves out."""
        cover, user = self._cover, self._user_data
        if cover or user:
            output.patches.append(lambda file: fill_room(file, cover, user))

    def lost_in(self, result: Path) -> tuple[str, ...]:
        """What was written in vain: an older PyAV tells mp4's muxer no frame rate to count by."""
        if self.content.timecode is None:
            return ()
        with VideoFile(result).open() as (container, _):
            return () if read_timecode(container) else ("timecode",)

    @property
    def _cover(self) -> bytes:
        covers = self.content.covers if self.container in _MP4 else ()
        return cover_item([(cover.codec, cover.data) for cover in covers])

    @property
    def _user_data(self) -> bytes:
        return user_data(self.tags) if self.container in _MP4 else b""


def plan_content(content: KeptContent, container: str, tags: Mapping[str, str]) -> KeptPlan:
    """Plan what is written into a container.

    Args:
        content: what is kept of the source.
        container: mp4, mov, mkv or webm.
        tags: of the new file; they replace the source's of the same name.
    """
    names = {name.lower() for name in tags}
    own = {name: value for name, value in content.tags.items() if name.lower() not in names}
    tracks, converted, lost = _choose_tracks(content, container)
    notes: tuple[str, ...] = ()
    covers = tuple(cover for cover in content.covers if _holds_cover(container, cover.codec))
    if len(covers) < len(content.covers):
        lost.append("cover picture")
    timecode = content.timecode
    if timecode is not None and container in _MP4 and not content.counts_timecode:
        lost.append("timecode")
        timecode = None
    attachments = content.attachments if container == "mkv" else ()
    if len(attachments) < len(content.attachments):
        lost.append("attachments")
    if content.other_pictures:
        notes = ("The video's other pictures were left out: a result has one.",)
    if content.beyond_pyav:
        told = ", ".join(content.beyond_pyav)
        notes += (f"PyAV {av.__version__} does not keep the video's {told}; a newer one does.",)
    return KeptPlan(
        content=replace(
            content, covers=covers, attachments=attachments, tracks=tuple(tracks), timecode=timecode
        ),
        container=container,
        converted=converted,
        tags={**own, **tags},
        lost=tuple(lost),
        notes=notes,
    )


def _holds_cover(container: str, codec: str) -> bool:
    if container in _MP4:
        return holds_cover(codec)
    return container == "mkv" and codec in _COVER_FILES and can_attach()


def _choose_tracks(
    content: KeptContent, container: str
) -> tuple[list[TimedTrack], dict[int, str], list[str]]:
    """The tracks that a container takes, what is converted, and names of the rest."""
    tracks: list[TimedTrack] = []
    converted: dict[int, str] = {}
    lost: list[str] = []
    if content.video is None or not content.tracks:
        return tracks, converted, lost
    with content.video.open() as (source, _):
        for track in content.tracks:
            if _takes(container, source, track.index):
                tracks.append(track)
            elif is_text(track.codec):
                tracks.append(track)
                converted[track.index] = TARGETS[container]
            else:
                plural = "subtitles" if track.kind == "subtitle" else "data track"
                lost.append(f"{plural} ({track.codec})" if track.codec else plural)
    return tracks, converted, lost


def _takes(container: str, source: InputContainer, index: int) -> bool:
    """Whether the muxer can describe a stream; tried in memory."""
    with suppress(FFmpegError, ValueError):
        output = open_output(io.BytesIO(), container)
        try:
            output.add_stream_from_template(source.streams[index], opaque=True)
            output.start_encoding()
        finally:
            with suppress(FFmpegError):  # it has no packets
                output.close()
        return True
    return False


def cover_files(covers: Sequence[tuple[str, bytes, str]]) -> list[tuple[str, str, bytes]]:
    """Name, MIME type and content of covers as attached files."""
    files: list[tuple[str, str, bytes]] = []
    for number, (codec, data, name) in enumerate(covers):
        suffix, kind = _COVER_FILES[codec]
        known = name.lower().endswith((f".{suffix}", ".jpeg"))
        files.append((name if known else f"cover{number or ''}.{suffix}", kind, data))
    return files
