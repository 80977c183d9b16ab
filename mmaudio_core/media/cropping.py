"""Cropping that a container asks for: mp4's and mov's clean aperture, Matroska's pixel crop."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .ebml import find_element, list_elements

_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_LEFT, _TOP, _RIGHT, _BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA
_CROPPING = {"mp4", "matroska"}
"""libav's names of the formats that can ask for it."""


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Pixels at each side of the stored picture that are not shown."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    @classmethod
    def of_matroska(cls, video: bytes) -> Crop:
        """That of the content of a track's element Video."""
        values = {
            element.id: int.from_bytes(video[element.start : element.end], "big")
            for element in list_elements(video)
        }
        return cls(
            left=values.get(_LEFT, 0),
            top=values.get(_TOP, 0),
            right=values.get(_RIGHT, 0),
            bottom=values.get(_BOTTOM, 0),
        )


def read_crop(container: InputContainer, stream: VideoStream) -> Crop:
    """How a stream's frames are cropped to be shown, beyond what their decoder does.

    libav tells it to muxers alone, so it is read from the header of a Matroska file in memory.
    """
    if _CROPPING.isdisjoint(container.format.name.split(",")):
        return Crop()
    file = io.BytesIO()
    with suppress(FFmpegError, ValueError):  # Matroska does not take the codec
        with closing(av.open(file, "w", format="matroska")) as output:
            output.add_stream_from_template(stream, opaque=True)
            output.start_encoding()
        begin, end = 0, file.seek(0, 2)
        for identifier in (_SEGMENT, _TRACKS, _TRACK, _VIDEO):
            element = find_element(file, begin, end, identifier)
            begin, end = element.start, element.end
        return Crop.of_matroska(file.getvalue()[begin:end])
    return Crop()


class FrameCropper:
    """Cuts off what is not shown of decoded frames, by libav's filter crop.

    Where chroma is subsampled, the left and the upper edge are rounded to a whole sample of it.
    """

    def __init__(self, crop: Crop) -> None:
        self._crop = crop
        self._layout: tuple[int, int, str] | None = None
        self._graph: Graph | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The part of a frame that is shown; all of it if nothing would be left."""
        if self._crop == Crop():
            return frame
        layout = frame.width, frame.height, frame.format.name
        if layout != self._layout:
            self._layout, self._graph = layout, self._build(frame)
        if self._graph is None:
            return frame
        self._graph.push(frame)
        return self._graph.vpull()

    def _build(self, frame: VideoFrame) -> Graph | None:
        crop = self._crop
        width, height = frame.width - crop.left - crop.right, frame.height - crop.top - crop.bottom
        if width < 1 or height < 1:
            return None
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(1, 1000),
        )
        settings = f"{width}:{height}:{crop.left}:{crop.top}"
        graph.link_nodes(source, graph.add("crop", settings), graph.add("buffersink")).configure()
        return graph
