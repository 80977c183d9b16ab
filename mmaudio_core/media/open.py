"""Choosing how a video is read: the one place that looks at what it is."""

from __future__ import annotations

from .input_file import InputFile, PathOrBytes
from .source import FrameSource
from .video_file import VideoFile
from .webp import WebPFile, is_webp


def open_source(source: PathOrBytes | FrameSource) -> FrameSource:
    """A source of frames for a path or an open file; a ``FrameSource`` is returned as it is.

    Nothing but the first bytes is read, so a file that is missing or damaged raises later.
    """
    if isinstance(source, FrameSource):
        return source
    return WebPFile(source) if is_webp(InputFile(source)) else VideoFile(source)
