"""Tags of files and of their tracks, without those that hold for that very file alone."""

# PyAV leaves some of its types open.
# pyright: reportAttributeAccessIssue=false, reportUnknownMemberType=false

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from av.container import InputContainer
from av.stream import Stream

_FILE_ONLY = (
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "duration",
    "timecode",
)
"""Tags that describe the file read, not what it shows."""
_STREAM_ONLY = (
    *("encoder", "duration", "creation_time", "vendor_id", "filename", "mimetype"),
    *("alpha_mode", "stereo_mode", "rotate", "number_of_frames", "number_of_bytes"),
    *("bps", "id3v2_priv", "variant_bitrate", "source_id", "timecode"),
)
_STATISTICS = ("_statistics", "number_of_", "bps-", "duration-")
"""What such tags begin with in Matroska."""


_WORKFLOW = {"prompt", "workflow"}
"""The names under which ComfyUI and its nodes write a graph."""


@dataclass(frozen=True, kw_only=True)
class StreamNotes:
    """What is said of a track.

    Attributes:
        tags: its name, language and so on; keys in lower case.
        disposition: libav's flags, such as "default" or "forced".
    """

    tags: Mapping[str, str] = field(default_factory=lambda: {})
    disposition: int = 0


def stream_notes(stream: Stream, *, metadata: bool) -> StreamNotes:
    """What is said of a stream; without ``metadata`` only its language and disposition."""
    tags = _clean(stream.metadata, _STREAM_ONLY)
    name = tags.pop("name", None)  # what mp4 and mov call a title
    if name:
        tags.setdefault("title", name)
    if tags.get("language") == "und":
        del tags["language"]
    if tags.get("handler_name", "").endswith(("Handler", "MET")) or not metadata:
        tags.pop("handler_name", None)
    if not metadata:
        tags = {key: value for key, value in tags.items() if key == "language"}
    return StreamNotes(tags=tags, disposition=stream.disposition.value)


def file_tags(container: InputContainer) -> dict[str, str]:
    """A file's tags that are of use in another one, with keys in lower case."""
    return _clean(container.metadata, _FILE_ONLY)


def without_workflow(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that hold no graph of ComfyUI: neither under its names nor in another's JSON."""
    return {
        key: value
        for key, value in tags.items()
        if key.lower() not in _WORKFLOW and not _holds_workflow(value)
    }


def _holds_workflow(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return not _WORKFLOW.isdisjoint(value)


def _clean(tags: Mapping[str, str], without: tuple[str, ...]) -> dict[str, str]:
    """Tags with keys in lower case (Matroska has upper), but for those of no use elsewhere."""
    lower = {key.lower() if key.isupper() else key: value for key, value in tags.items()}
    return {
        key: value
        for key, value in lower.items()
        if value
        and key.lower() not in without
        and not key.lower().startswith(_STATISTICS)
        and lower.get(key.rpartition("-")[0]) != value  # "location-eng" beside "location"
    }


def describe(stream: Stream, notes: StreamNotes) -> None:
    """Say of a new stream what is said of another."""
    stream.metadata.update(notes.tags)
    stream.disposition = notes.disposition
