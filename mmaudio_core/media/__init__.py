"""Reading a video or a batch of images into the frames that the two image encoders take."""

from __future__ import annotations

from .images import ImageSequence
from .input_file import PathOrBytes
from .mask import Masks, align_masks
from .open import open_source
from .prefetch import prefetch
from .reader import FrameChunk, FrameReader
from .resize import image_for_clip
from .source import Frame, FrameSource, VideoInfo
from .timestamps import resolve_range
from .video_file import VideoFile

__all__ = [
    "Frame",
    "FrameChunk",
    "FrameReader",
    "FrameSource",
    "ImageSequence",
    "Masks",
    "PathOrBytes",
    "VideoFile",
    "VideoInfo",
    "align_masks",
    "image_for_clip",
    "open_source",
    "prefetch",
    "resolve_range",
]
