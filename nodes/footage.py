"""From ComfyUI's VIDEO, IMAGE, MASK and AUDIO to what the core reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from comfy_api.latest import Input, InputImpl
from torch import Tensor

from ..mmaudio_core.config import exact_seconds, plain_number
from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.features.visual import VideoClip
from ..mmaudio_core.media import ImageSequence, open_source
from . import compat
from .inputs import MAX_FRAME_RATE, MIN_FRAME_RATE

BOTH_PICTURES = "both video and images are connected, expected one of them. Disconnect one."
NO_PICTURE = "neither video nor images are connected. Connect one of them."
MASK_ALONE = (
    "a mask is connected, but no picture for it to hide. Connect video or images, or disconnect "
    "the mask."
)


def to_clip(
    video: Input.Video | None,
    images: Tensor | None,
    frame_rate: float,
    mask: Tensor | None = None,
) -> VideoClip | None:
    """The clip to generate sound for; None if neither a video nor images are connected.

    Args:
        frame_rate: frames per second of ``images``, or of a ``video`` that is a still picture.
        mask: what may be seen, see ``VideoClip``.

    Raises:
        MediaError: both video and images are connected, or a mask without either.
    """
    check_one_source(video, images)
    if images is not None:
        clip = _from_images(images, frame_rate)
    elif video is not None:
        clip = _from_video(video, frame_rate)
    elif mask is not None:
        raise MediaError(MASK_ALONE)
    else:
        return None
    return replace(clip, mask=mask)


def check_one_source(video: Any, images: Any) -> None:
    """Raise MediaError if both a video and images are connected."""
    if video is not None and images is not None:
        raise MediaError(BOTH_PICTURES)


def images_rate(frame_rate: float, video_info: Any) -> float:
    """Frames per second of images: from VideoHelperSuite's info if there is one.

    Raises:
        MediaError: the info holds no rate.
    """
    if video_info is None:
        return frame_rate
    if isinstance(video_info, Mapping):
        for key in ("loaded_fps", "source_fps"):
            rate = plain_number(video_info.get(key))
            known = isinstance(rate, (int, float)) and not isinstance(rate, bool)
            if known and MIN_FRAME_RATE <= rate <= MAX_FRAME_RATE:
                return float(rate)
    raise MediaError(
        f"got video_info without a frame rate ({str(video_info)[:100]}), expected loaded_fps or "
        f"source_fps from {MIN_FRAME_RATE} to {MAX_FRAME_RATE:g}. Connect the video_info of "
        "VideoHelperSuite's Load Video, or disconnect it and set frame_rate."
    )


def _from_images(images: Tensor, frame_rate: float) -> VideoClip:
    return VideoClip(source=ImageSequence(images=images, frame_rate=_exact_rate(frame_rate)))


def _from_video(video: Input.Video, frame_rate: float) -> VideoClip:
    if isinstance(video, InputImpl.VideoFromComponents) or compat.has_frame_edits(video):
        components = video.get_components()
        rate = Fraction(components.frame_rate)
        return VideoClip(source=ImageSequence(images=components.images, frame_rate=rate))
    stream = video.get_stream_source()
    if isinstance(stream, str) and Path(stream).is_dir():  # what Load Video makes of no name
        raise MediaError("got a video without a file. Choose a file in Load Video.")
    source = open_source(stream)
    if source.still_image is not None:  # a WebP of one frame
        return _from_images(source.still_image[None], frame_rate)
    start, duration = compat.trim_window(video)
    return VideoClip(
        source=source,
        start=exact_seconds(start),
        duration=exact_seconds(duration) if duration else None,
    )


def _exact_rate(frame_rate: float) -> Fraction:
    """The frame rate as a fraction: 23.976023976 is 24000/1001."""
    return exact_seconds(frame_rate).limit_denominator(1001)
