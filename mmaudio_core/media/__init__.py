"""From a video or a batch of images to the frames that the two image encoders look at."""

from __future__ import annotations

from mmaudio_core.media.probe import SHORTEST, VideoInfo, check_span, probe
from mmaudio_core.media.reader import FrameChunk, FrameReader
from mmaudio_core.media.resize import still
from mmaudio_core.media.source import ImageSequence, VideoSource

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
