"""Opening a file with libav and choosing its video stream."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from ..errors import MediaError
from .compat import open_input
from .input_file import InputFile

_MAX_THREADS = 4
_AVIF_BRANDS = {"avif", "avis"}
"""What stills and animations call themselves."""


@contextmanager
def open_container(file: InputFile) -> Generator[tuple[InputContainer, VideoStream], None, None]:
    """Open a file and choose its main video stream.

    Raises:
        MediaError: if there is no such file, it is empty, libav cannot open it, or it has no
            video stream (a cover picture does not count).
    """
    file.size()
    try:
        container = open_input(file.open())
    except (FFmpegError, ValueError, OSError) as error:
        raise MediaError(
            f"{file} cannot be opened as a video ({error_text(error)}); expected a whole video"
            " file such as mp4, mov, mkv or webm. It may be damaged, half downloaded or of another"
            " kind: try to play it, then export or download it again."
        ) from error
    with container:
        yield container, _main_stream(container, file)


def use_threads(stream: VideoStream) -> None:
    """Decode a stream on several cores, but few enough that 4K frames do not fill the memory.

    Each thread holds frames of its own (25 MB each at 4K and 10 bit) besides reference frames.
    """
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(_MAX_THREADS, os.cpu_count() or 1)


def undecodable(file: InputFile, codec: str) -> MediaError:
    """The error for a video none of whose frames decodes."""
    return MediaError(
        f"no frame of {file} could be decoded (codec {codec}); expected a whole video in a codec"
        " that this PyAV knows. Export it again, for instance as H.264 in mp4."
    )


def error_text(error: Exception) -> str:
    """libav's own words for an error, without its number and the file name."""
    text = getattr(error, "strerror", None)
    return text if isinstance(text, str) else str(error)


def _picture_of(best: VideoStream, container: InputContainer) -> VideoStream:
    """The stream itself; in an AVIF with transparency, the colors that it may be the mask of.

    The mask is a gray stream of its own, as long and as large, which libav takes for as good.
    """
    if container.metadata.get("major_brand") not in _AVIF_BRANDS:
        return best
    alike = [
        stream
        for stream in container.streams.video
        if stream.codec_context and (stream.frames, _size(stream)) == (best.frames, _size(best))
    ]
    return min(alike, key=lambda stream: (len(stream.format.components) == 1, stream.index))


def _size(stream: VideoStream) -> tuple[int, int]:
    return stream.codec_context.width, stream.codec_context.height


def _main_stream(container: InputContainer, file: InputFile) -> VideoStream:
    best = container.streams.best("video")
    if isinstance(best, VideoStream) and not best.disposition & Disposition.attached_pic:
        if best.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise MediaError(
                f"the picture in {file} is in a format that this PyAV does not know, or its header"
                " is damaged; expected a common one. Export it again, for instance as H.264 in mp4."
            )
        return _picture_of(best, container)
    kinds = Counter(
        "cover picture" if stream.disposition & Disposition.attached_pic else f"{stream.type} track"
        for stream in container.streams
    )
    content = " and ".join(
        f"{count} {kind}s" if count > 1 else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
        for kind, count in kinds.items()
    )
    raise MediaError(
        f"{file} has no video stream: it holds {content + ' only' if content else 'nothing'};"
        " expected a video. Choose a file that has a picture."
    )
