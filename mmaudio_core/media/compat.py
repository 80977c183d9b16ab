"""Differences between PyAV versions; each entry names the version that lets it be deleted.

The oldest supported is 14.2.0, the oldest that ComfyUI 0.8.0 takes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.buffer import Buffer
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer, Type
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream


def open_input(
    file: str | io.BytesIO | io.BufferedReader, options: Mapping[str, str] | None = None
) -> InputContainer:
    """Open a file with options of libav's, replacing undecodable characters in its metadata.

    ``av.open`` would give its ``options`` to the streams too, which crashes PyAV 14 where these are
    found only later, as in MPEG-PS.

    Delete with PyAV 19 as the oldest supported: it has no ``metadata_errors`` and always replaces.
    """
    settings = dict(options or {})
    try:
        return av.open(file, mode="r", metadata_errors="replace", container_options=settings)
    except TypeError:
        return av.open(file, mode="r", container_options=settings)


def demux(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """A stream's packets, the last one with its duration.

    Delete with PyAV 16 as the oldest supported: it leaves the durations in mp4 and mov unknown if
    frames are reordered, but tells their sum.
    """
    packets, total = container.demux(stream), stream.duration
    if hasattr(VideoFrame, "color_trc") or "mp4" not in container.format.name or total is None:
        yield from packets
        return
    held: Packet[VideoStream] | None = None
    begin: int | None = None  # the first packet's decoding time; None after a seek
    try:
        for packet in packets:
            if held is None:
                begin = packet.dts if packet.pts == stream.start_time else None
            else:
                at_end = not packet.size and not held.duration
                if at_end and begin is not None and held.dts is not None:
                    held.duration = max(0, total - (held.dts - begin))
                yield held
            held = packet
    except FFmpegError:
        if held is not None:
            yield held
        raise
    if held is not None:
        yield held


class FrameDurations:
    """Durations of frames in ticks, noted from the packets they came in.

    Delete with PyAV 15 as the oldest supported: it has ``VideoFrame.duration``.
    """

    def __init__(self) -> None:
        self._by_pts: dict[int, int] = {}
        self._without_pts = 0

    def sent(self, packet: Packet[VideoStream]) -> None:
        """Note the duration of a packet that goes into the decoder."""
        if packet.pts is not None:
            self._by_pts[packet.pts] = packet.duration or 0
        elif packet.size:
            self._without_pts = packet.duration or 0

    def take(self, frame: VideoFrame) -> int:
        """The duration of a frame that came out of it; 0 if unknown."""
        return self._without_pts if frame.pts is None else self._by_pts.pop(frame.pts, 0)


def display_matrix(frame: VideoFrame) -> bytes | None:
    """A frame's display matrix, if it has one; for errors see ``side_data``."""
    return side_data(frame, Type.DISPLAYMATRIX)


def light_metadata(frame: VideoFrame) -> tuple[bytes | None, bytes | None]:
    """A frame's content light level and mastering display metadata, as far as it has them."""
    try:
        content = side_data(frame, Type.CONTENT_LIGHT_LEVEL)
        return content, side_data(frame, Type.MASTERING_DISPLAY_METADATA)
    except ValueError:
        return None, None


def side_data(frame: VideoFrame, kind: Type) -> bytes | None:
    """What is said of a frame besides its pixels, if that kind of it is.

    Not ``frame.side_data``: it and the frame refer to each other, so decoded frames would stay in
    memory until Python's cycle collector runs. Delete when PyAV breaks that cycle (18.1 has it).

    Raises:
        ValueError: if the frame has a kind of side data that this PyAV does not know.
    """
    container: Callable[[VideoFrame], Mapping[Type, Buffer]] = SideDataContainer  # pyright: ignore
    data = container(frame).get(kind)
    return None if data is None else bytes(data)


def color_description(frame: VideoFrame, context: tuple[int, int]) -> tuple[int, int]:
    """Code points (ITU-T H.273) of a frame's transfer characteristics and its primaries.

    Delete with PyAV 16 as the oldest supported: older frames do not tell theirs, so that those of
    their stream, ``context``, stand in.
    """
    transfer, primaries = context
    return getattr(frame, "color_trc", transfer), getattr(frame, "color_primaries", primaries)


def converts_range(frame: VideoFrame, pix_fmt: str) -> bool:
    """Whether a frame's range can be made limited on the way to a pixel format.

    Delete with PyAV 16 as the oldest supported: it leaves the range if the pixel format stays.
    """
    same = frame.format.name == pix_fmt
    return hasattr(VideoFrame, "color_trc") or not (same and is_full_range(frame))


def is_full_range(frame: VideoFrame) -> bool:
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")


def rgb_options(frame: VideoFrame, matrix: int | None) -> dict[str, int]:
    """Arguments with which a frame is converted to RGB by its own matrix and range.

    Delete with PyAV 16 as the oldest supported: it takes every frame for BT.601 in limited range
    unless it is told both sides, which must differ.

    Args:
        frame: the frame.
        matrix: replaces the frame's own; None leaves it.
    """
    if hasattr(VideoFrame, "color_trc"):
        return {} if matrix is None else {"src_colorspace": matrix}
    full = is_full_range(frame)
    return {
        "src_colorspace": frame.colorspace if matrix is None else matrix,
        "dst_colorspace": Colorspace.FCC,  # RGB has none: just one that no video has
        "src_color_range": ColorRange.JPEG if full else ColorRange.MPEG,
        "dst_color_range": ColorRange.JPEG,
    }


_CHAPTERS = (b"chpl", b"\x0cchap\0\0", b"\x10\x43\xa7\x70")
"""What says in mp4, mov and Matroska that there are chapters."""


class Chapter(NamedTuple):
    """A chapter of a file.

    Attributes:
        start, end: in seconds of the file's own clock.
        tags: such as its title.
    """

    start: Fraction
    end: Fraction
    tags: Mapping[str, str]


def read_chapters(container: InputContainer) -> list[Chapter]:
    """A file's chapters.

    Delete with PyAV 15 as the oldest supported: older ones know of none.
    """
    read: Callable[[], list[Any]] = getattr(container, "chapters", list[Any])
    return [
        Chapter(
            item["start"] * item["time_base"], item["end"] * item["time_base"], item["metadata"]
        )
        for item in read()
        if item["time_base"]
    ]


def hides_chapters(ends: bytes) -> bool:
    """Whether a file has chapters that this PyAV does not tell; see ``read_chapters``.

    Args:
        ends: the bytes at its beginning and its end.
    """
    return not hasattr(InputContainer, "chapters") and any(name in ends for name in _CHAPTERS)


def write_chapters(container: OutputContainer, chapters: Sequence[Chapter]) -> None:
    """Give a file chapters; see ``read_chapters``."""
    if chapters:
        container.set_chapters(
            [
                {
                    "id": number,
                    "start": round(chapter.start * 1000),
                    "end": round(chapter.end * 1000),
                    "time_base": Fraction(1, 1000),
                    "metadata": dict(chapter.tags),
                }
                for number, chapter in enumerate(chapters, 1)
            ]
        )


def can_attach() -> bool:
    """Whether files that are attached to another one can be read and written.

    Delete with PyAV 17 as the oldest supported: older ones cannot.
    """
    return hasattr(OutputContainer, "add_attachment")


def attach(container: OutputContainer, name: str, mime_type: str, data: bytes) -> None:
    """Attach a file to another one; see ``can_attach``."""
    add: Callable[[str, str, bytes], object] = getattr(container, "add_attachment")  # noqa: B009
    add(name, mime_type, data)


def can_copy(stream: Stream) -> bool:
    """Whether a stream may be the template of another one.

    Delete with PyAV 17 as the oldest supported: older ones crash over a stream without a codec.
    """
    return bool(stream.codec_context) or can_attach()


def is_chapter_text(stream: Stream) -> bool:
    """Whether a data stream only says again what the chapters say, so that libav skips it.

    Delete with PyAV 18 as the oldest supported: older ones do not tell what libav skips, so only
    those that libav wrote are known.
    """
    written_by_libav = stream.metadata.get("handler_name") == "SubtitleHandler"
    return int(getattr(stream, "discard", 1 if written_by_libav else 0)) > 0
