"""How a video is to be displayed, read from a file and compared with what was written."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path

from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from ..media import VideoFile
from ..media.compat import side_data
from ..media.cropping import Crop, read_crop
from ..media.orientation import Orientation, frame_orientation

_SIDE_DATA = {
    Type.MASTERING_DISPLAY_METADATA: "mastering display data",
    Type.CONTENT_LIGHT_LEVEL: "content light levels",
    Type.AMBIENT_VIEWING_ENVIRONMENT: "ambient viewing environment",
    Type.STEREO3D: "stereo 3D",
    Type.SPHERICAL: "spherical projection",
}
"""libav hands it from the container or the stream to the frames, and every container rounds it in
its own way: only that it is there is compared."""
_UNKNOWN_COLOR = 2
"""libav's number of it for primaries, transfer and matrix."""
_DOLBY_VISION = (b"dvcC", b"dvvC", b"dvwC")
"""Its configuration, in mp4 and in Matroska; libav does not hand it to the frames."""
_ENDS = 1 << 20
"""Bytes at each end of a file, in one of which the tracks are described."""


def lost_properties(source: VideoFile, result: Path) -> tuple[str, ...]:
    """Names of the display properties that a video has and its copy has not."""
    before, after = _read(source), _read(VideoFile(result))
    return tuple(name for name, value in before.items() if after.get(name) != value)


def _read(video: VideoFile) -> dict[str, Hashable]:
    """The display properties that differ from what players assume, by name."""
    with video.open() as (container, stream):
        context = stream.codec_context
        crop = read_crop(container, stream)
        aspect = stream.sample_aspect_ratio or 1
        found: dict[str, Hashable] = {
            "pixel aspect ratio": None if aspect == 1 else aspect,
            "color primaries": _color(context.color_primaries),
            "color transfer": _color(context.color_trc),
            "color matrix": _color(context.colorspace),
            "full color range": context.color_range == ColorRange.JPEG or None,
            "cropping": None if crop == Crop() else crop,
            "transparency": "alpha_mode" in {key.lower() for key in stream.metadata} or None,
        }
        frame = _first_frame(container, stream)
        if frame is not None:
            orientation = frame_orientation(frame)
            found["rotation"] = None if orientation == Orientation() else orientation
            kinds = _kinds(frame)
            found |= {name: kind in kinds or None for kind, name in _SIDE_DATA.items()}
    head = video.read_ends(_ENDS)
    found["Dolby Vision"] = any(name in head for name in _DOLBY_VISION) or None
    return {name: value for name, value in found.items() if value is not None}


def _color(number: int) -> int | None:
    return None if number == _UNKNOWN_COLOR else number


def _kinds(frame: VideoFrame) -> set[Type]:
    try:
        return {kind for kind in _SIDE_DATA if side_data(frame, kind) is not None}
    except ValueError:  # a kind that this PyAV does not know
        return set()


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    with suppress(FFmpegError, ValueError):
        return next(iter(container.decode(stream)), None)
    return None
