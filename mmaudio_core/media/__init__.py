"""From a video or a batch of images to the frames that the two image encoders look at."""

from __future__ import annotations

from .probe import SHORTEST, VideoInfo, check_span, probe
from .reader import FrameChunk, FrameReader
from .resize import still
from .source import ImageSequence, VideoSource

__all__ = [
    "SHORTEST",
    "FrameChunk",
    "FrameReader",
    "ImageSequence",
    "VideoInfo",
    "VideoSource",
    "check_span",
    "probe",
    "still",
]
