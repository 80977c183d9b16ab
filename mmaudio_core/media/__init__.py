"""From a video or a batch of images to the frames that the two image encoders look at."""

from __future__ import annotations

from .mask import Masks, align_masks
from .prefetch import prefetch, should_prefetch
from .probe import SHORTEST, VideoInfo, frame_times, probe, resolve_range, still_image
from .reader import FrameChunk, FrameReader
from .resize import image_for_clip
from .source import ImageSequence, VideoSource

__all__ = [
    "SHORTEST",
    "FrameChunk",
    "FrameReader",
    "ImageSequence",
    "Masks",
    "VideoInfo",
    "VideoSource",
    "align_masks",
    "frame_times",
    "image_for_clip",
    "prefetch",
    "probe",
    "resolve_range",
    "should_prefetch",
    "still_image",
]
