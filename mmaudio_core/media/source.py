"""What can be read: a file, or images with a frame rate; and opening the file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, TypeAlias, Union

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from torch import Tensor

from ..errors import MediaError

_MOST_THREADS = 4
MOST_PIXELS = 8192 * 8192
"""What one frame may have."""

VideoSource: TypeAlias = Union[str, "os.PathLike[str]", BinaryIO]
"""A path, or an open binary file such as ``io.BytesIO``."""


@dataclass(frozen=True, kw_only=True)
class ImageSequence:
    """Images shown one after another.

    Args:
        images: (B, H, W, C) float in [0, 1]; the first three channels are red, green and blue.
        frame_rate: images per second, above 0.

    Raises:
        MediaError: on another shape or dtype, no images at all, or a frame rate not above 0.
    """

    images: Tensor
    frame_rate: Fraction

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        if len(shape) != 4 or shape[3] < 3 or 0 in shape or not self.images.is_floating_point():
            raise MediaError(
                f"images of shape {shape} and type {self.images.dtype} were given; expected floats"
                " of shape (frames, height, width, 3 or more channels) with at least one pixel."
                " Connect an IMAGE batch, unaltered."
            )
        if self.frame_rate <= 0:
            raise MediaError(
                f"a frame rate of {float(self.frame_rate):g} was given; expected one above 0."
                " Set frame_rate to the images' own rate, for instance 25."
            )


@contextmanager
def open_video(source: VideoSource) -> Generator[tuple[InputContainer, VideoStream], None, None]:
    """Open a file and choose its main video stream.

    Raises:
        MediaError: when there is no such file, it is empty, libav cannot open it, or it holds no
            moving picture (a cover picture is none); the message says what it holds instead.
    """
    name = describe(source)
    _check_there(source, name)
    # An absolute path is never taken for a protocol ("a:b.mp4").
    file = os.path.abspath(source) if isinstance(source, (str, os.PathLike)) else source
    try:
        container = _open(file)
    except (FFmpegError, ValueError, OSError) as error:
        raise MediaError(
            f"{name} cannot be opened as a video ({reason(error)}); expected a whole video file"
            " such as mp4, mov, mkv or webm. It may be damaged, half downloaded or of another"
            " kind: try to play it, then export or download it again."
        ) from error
    with container:
        yield container, _main_stream(container, name)


def _open(file: str | BinaryIO) -> InputContainer:
    try:
        return av.open(file, mode="r", metadata_errors="replace")
    except TypeError:  # PyAV 19 took the argument away, and replaces by itself
        return av.open(file, mode="r")


def use_threads(stream: VideoStream) -> None:
    """Let a stream be decoded on several cores, but few enough that 4K frames do not pile up.

    Each thread holds frames of its own: 25 MB each at 4K and 10 bit, besides those referred to.
    """
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(_MOST_THREADS, os.cpu_count() or 1)


def describe(source: VideoSource) -> str:
    """A source's name for messages."""
    if isinstance(source, (str, os.PathLike)):
        return f"'{os.fspath(source)}'"
    name = getattr(source, "name", None)
    return f"'{name}'" if isinstance(name, str) else "the video given as data in memory"


def check_size(frame: VideoFrame) -> None:
    """Refuse frames so large that they are sure to be a damaged header's, or fill the memory.

    Raises:
        MediaError: more than 8192x8192 pixels.
    """
    if frame.width * frame.height > MOST_PIXELS:
        raise too_large(frame.width, frame.height)


def too_large(width: int, height: int) -> MediaError:
    """What to raise on frames of more than ``MOST_PIXELS``."""
    return MediaError(
        f"a frame of {width}x{height} pixels was got; expected no more than 8192x8192. If the video"
        " is not that large, it is damaged: export it again. If it is, scale it down."
    )


def undecodable(source: VideoSource, stream: VideoStream) -> MediaError:
    """What to raise when not one frame of a video decodes."""
    return MediaError(
        f"no frame of {describe(source)} could be decoded (codec {stream.codec_context.name});"
        " expected a whole video in a codec this PyAV knows. Export it again, for instance as"
        " H.264 in mp4."
    )


def reason(error: Exception) -> str:
    """libav's own words for an error, without its number and the file name."""
    text = getattr(error, "strerror", None)
    return text if isinstance(text, str) else str(error)


def _check_there(source: VideoSource, name: str) -> None:
    if isinstance(source, (str, os.PathLike)):
        if not os.path.isfile(source):
            what = "is a folder" if os.path.isdir(source) else "does not exist"
            raise MediaError(f"{name} {what}; expected a video file. Check the path.")
        size = os.path.getsize(source)
    else:
        size = source.seek(0, os.SEEK_END)
        source.seek(0)
    if size == 0:
        raise MediaError(
            f"{name} is empty (0 bytes); expected a video file."
            " Its download or export may have failed: make it again."
        )


def _main_stream(container: InputContainer, name: str) -> VideoStream:
    best = container.streams.best("video")
    if isinstance(best, VideoStream) and not best.disposition & Disposition.attached_pic:
        if best.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise MediaError(
                f"the picture in {name} is in a format that this PyAV does not know, or its header"
                " is damaged; expected a common one. Export it again, for instance as H.264 in mp4."
            )
        return best
    kinds = Counter(
        "cover picture" if stream.disposition & Disposition.attached_pic else f"{stream.type} track"
        for stream in container.streams
    )
    held = " and ".join(
        f"{count} {kind}s" if count > 1 else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
        for kind, count in kinds.items()
    )
    raise MediaError(
        f"{name} has no video stream: it holds {held + ' only' if held else 'nothing'}; expected a"
        " video. Choose a file that has a picture."
    )
