"""From a video or a batch of images to the frames that the two image encoders look at."""

from __future__ import annotations

from .mask import Masks, lay_masks
from .prefetch import ahead, reads_ahead
from .probe import SHORTEST, VideoInfo, check_span, frame_times, probe, still_image
from .reader import FrameChunk, FrameReader
from .resize import still
from .source import ImageSequence, VideoSource

__all__ = [
    "SHORTEST",
    "FrameChunk",
    "FrameReader",
    "ImageSequence",
    "Masks",
    "VideoInfo",
    "VideoSource",
    "ahead",
    "check_span",
    "frame_times",
    "lay_masks",
    "probe",
    "reads_ahead",
    "still",
    "still_image",
]
