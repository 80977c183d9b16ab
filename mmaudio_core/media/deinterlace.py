"""Deinterlacing: interlaced frames as one progressive picture each, by libav's filter bwdif."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from av.error import BlockingIOError as NeedsMoreFrames
from av.error import FFmpegError
from av.filter import Graph
from av.video.frame import VideoFrame

from .decode import DecodedFrame

_SETTINGS = "mode=send_frame:parity=auto:deint=interlaced"
_TIME_BASE = Fraction(1, 1000)
"""Not used: frames come out of the filter in the order in which they go in."""


def deinterlace(frames: Iterable[DecodedFrame]) -> Iterator[DecodedFrame]:
    """Frames as they are until one is marked as interlaced; from there on through the filter.

    The filter returns progressive frames unchanged. What it does not take stays as it is.
    """
    graph: _Deinterlacer | None = None
    for frame in frames:
        if graph is not None and not graph.takes(frame.picture):
            yield from graph.finish()
            graph = None
        if graph is None and frame.picture.interlaced_frame:
            graph = _Deinterlacer.for_frame(frame.picture)
        if graph is None:
            yield frame
        else:
            yield from graph.push(frame)
    if graph is not None:
        yield from graph.finish()


class _Deinterlacer:
    """Frames of one size and pixel format; each comes out once the next one is in."""

    def __init__(self, frame: VideoFrame) -> None:
        self._layout = _layout(frame)
        self._waiting: deque[DecodedFrame] = deque()
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=_TIME_BASE
        )
        bwdif, sink = self._graph.add("bwdif", _SETTINGS), self._graph.add("buffersink")
        self._graph.link_nodes(source, bwdif, sink).configure()

    @classmethod
    def for_frame(cls, frame: VideoFrame) -> _Deinterlacer | None:
        """None if the filter does not take frames like this one, for instance of 2x2 pixels."""
        try:
            return cls(frame)
        except (FFmpegError, ValueError):
            return None

    def takes(self, frame: VideoFrame) -> bool:
        return self._layout == _layout(frame)

    def push(self, frame: DecodedFrame) -> Iterator[DecodedFrame]:
        self._waiting.append(frame)
        self._graph.push(frame.picture)
        yield from self._pull()

    def finish(self) -> Iterator[DecodedFrame]:
        self._graph.push(None)
        yield from self._pull()
        yield from self._waiting

    def _pull(self) -> Iterator[DecodedFrame]:
        while self._waiting:
            try:
                picture = self._graph.vpull()
            except (NeedsMoreFrames, EOFError):
                return
            yield replace(self._waiting.popleft(), picture=picture)


def _layout(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
