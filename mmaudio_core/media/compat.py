"""Differences between PyAV versions; each entry names the version that lets it be deleted."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import av
from av.buffer import Buffer
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream


def open_input(file: str | io.BytesIO) -> InputContainer:
    """Open a file, replacing undecodable characters in its metadata.

    Delete with PyAV 19 as the oldest supported: it has no ``metadata_errors`` and always replaces.
    """
    try:
        return av.open(file, mode="r", metadata_errors="replace")
    except TypeError:
        return av.open(file, mode="r")


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
    """A frame's display matrix, if it has one.

    Not ``frame.side_data``: it and the frame refer to each other, so decoded frames would stay in
    memory until Python's cycle collector runs. Delete when PyAV breaks that cycle (18.1 has it).

    Raises:
        ValueError: if the frame has a kind of side data that this PyAV does not know.
    """
    container: Callable[[VideoFrame], Mapping[Type, Buffer]] = SideDataContainer  # pyright: ignore
    data = container(frame).get(Type.DISPLAYMATRIX)
    return None if data is None else bytes(data)
