"""A video file, read by libav."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from functools import cached_property

from av.container import InputContainer
from av.video.stream import VideoStream

from .container import open_container, undecodable, use_threads
from .decode import (
    DecodedFrame,
    FrameConverter,
    chain_frames,
    decode_stream,
    place_frames,
    seek_and_decode,
)
from .deinterlace import deinterlace
from .input_file import InputFile, PathOrBytes
from .packets import PacketIndex, index_packets, info_from_ends
from .source import Frame, FrameSource, VideoInfo, check_frame_size

_LARGE_FILE = 1 << 26
"""Bytes from which on reading a whole file only for its length takes long."""
_WORTH_SEEKING = 2
"""Seconds of start below which decoding from the beginning is as fast as seeking."""


class VideoFile(FrameSource):
    """A file that libav opens; a broken tail ends the video, damaged frames are skipped.

    Args:
        file: the path or open file.
    """

    def __init__(self, file: PathOrBytes) -> None:
        self._file = InputFile(file)

    def open(self) -> AbstractContextManager[tuple[InputContainer, VideoStream]]:
        """Open the file, and choose its main video stream; see ``open_container``."""
        return open_container(self._file)

    def read_ends(self, count: int) -> bytes:
        """The file's first and last bytes; see ``InputFile``."""
        return self._file.read_ends(count)

    def digest(self) -> str:
        """Identifies the content of the file; see ``InputFile``."""
        return self._file.digest()

    @cached_property
    def packets(self) -> PacketIndex:
        """Times of all packets of the video stream, from one walk through the file."""
        with self.open() as (container, stream):
            return index_packets(container, stream)

    @property
    def identity(self) -> tuple[Hashable, ...] | None:
        return self._file.identity

    def _read_info(self) -> VideoInfo:
        """Read from the packets; of a large file without an index, from those at its two ends."""
        info = None
        if "packets" not in vars(self) and self._file.size() >= _LARGE_FILE:
            with self.open() as (container, stream):
                info = info_from_ends(container, stream)
        info = info or self.packets.info
        check_frame_size(info.width, info.height)
        if 0 in (info.width, info.height):  # told by neither a frame nor the header
            raise undecodable(self._file, info.codec)
        return info

    def frame_times(self) -> list[Fraction]:
        return self.packets.frame_times()

    def frames(self, start: Fraction = Fraction(0)) -> Iterator[Frame]:
        convert = FrameConverter()
        for frame in deinterlace(self.decoded_frames(start)):
            yield convert(frame)

    def decoded_frames(self, start: Fraction = Fraction(0)) -> Iterator[DecodedFrame]:
        """As ``frames``, but as they are in the file."""
        with self.open() as (container, stream):
            use_threads(stream)
            decoded = decode_stream(container, stream)
            first = next(decoded, None)
            if first is None:
                raise undecodable(self._file, stream.codec_context.name)
            zero = first[0].time
            if first[0].exact and start >= _WORTH_SEEKING:
                decoded.close()
                found = seek_and_decode(container, stream, zero, zero + start)
            else:
                found = chain_frames(first, decoded)
            if found is not None:
                yield from place_frames(found, container, stream, zero)
                return
        with self.open() as (container, stream):  # seeking failed: decode from the beginning
            use_threads(stream)
            frames = decode_stream(container, stream)
            yield from place_frames(frames, container, stream, zero)
