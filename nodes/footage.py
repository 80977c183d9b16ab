"""From ComfyUI's VIDEO and IMAGE to what the core reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from comfy_api.latest import Input
from torch import Tensor

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.features.visual import VideoClip
from ..mmaudio_core.media import ImageSequence, open_source


def footage(
    video: Input.Video | None,
    images: Tensor | None,
    frame_rate: float,
    mask: Tensor | None = None,
) -> VideoClip | None:
    """What to make sound for, and what of it may be seen; None where neither is connected.

    Raises:
        MediaError: both are connected, or a mask alone.
    """
    found = _footage(video, images, frame_rate)
    if mask is None:
        return found
    if found is None:
        raise MediaError(
            "a mask is connected, but no picture for it to hide: connect video or images, or "
            "disconnect the mask"
        )
    return replace(found, mask=mask)


def image_rate(frame_rate: float, video_info: Any) -> float:
    """Images a second: what VideoHelperSuite says of those it loaded, else ``frame_rate``.

    Raises:
        MediaError: the info holds no rate.
    """
    if video_info is None:
        return frame_rate
    told = video_info if isinstance(video_info, Mapping) else {}
    for key in ("loaded_fps", "source_fps"):
        rate = told.get(key)
        if isinstance(rate, (int, float)) and math.isfinite(rate) and rate > 0:
            return float(rate)
    raise MediaError(
        f"video_info holds no frame rate (got {str(video_info)[:100]}); expected loaded_fps or "
        "source_fps above 0: connect the video_info of VideoHelperSuite's Load Video, or "
        "disconnect it and set frame_rate"
    )


def _footage(
    video: Input.Video | None, images: Tensor | None, frame_rate: float
) -> VideoClip | None:
    if video is not None and images is not None:
        raise MediaError(
            "both video and images are connected, one of them was expected: disconnect one"
        )
    if images is not None:
        return VideoClip(source=ImageSequence(images=images, frame_rate=exact_rate(frame_rate)))
    if video is None:
        return None
    if not _streams(video):
        components = video.get_components()
        rate = Fraction(components.frame_rate)
        return VideoClip(source=ImageSequence(images=components.images, frame_rate=rate))
    source = open_source(video.get_stream_source())
    image = source.still_image
    if image is not None:  # a still WebP
        return VideoClip(
            source=ImageSequence(images=image[None], frame_rate=exact_rate(frame_rate))
        )
    start, duration = _trim(video)
    return VideoClip(source=source, start=start, duration=duration)


def whole_file(footage: VideoClip) -> bool:
    """Whether the footage is an untrimmed file, whose picture can be copied as it is."""
    trimmed = footage.start or footage.duration is not None
    return not isinstance(footage.source, ImageSequence) and not trimmed


def exact_rate(frame_rate: float) -> Fraction:
    """A frame rate as a fraction: 23.976023976 is 24000/1001."""
    return exact_seconds(frame_rate).limit_denominator(1001)


def _streams(video: Any) -> bool:
    """Whether the video is a file that shows what the video shows."""
    edited = getattr(video, "has_pending_frame_edits", None)
    if edited is not None and edited():
        return False
    from comfy_api.latest import InputImpl

    return not isinstance(video, InputImpl.VideoFromComponents)


def _trim(video: Any) -> tuple[Fraction, Fraction | None]:
    """Start and duration of a trimmed video; a duration of 0 means to its end."""
    window = getattr(video, "get_active_trim_window", None)
    if window is None:
        return Fraction(0), None
    start, duration = window()
    return exact_seconds(start or 0), exact_seconds(duration) if duration else None
