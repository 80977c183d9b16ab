"""From what a user gives (a video, images, prompts) to features."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from ..errors import MMAudioError
from ..media import (
    FrameReader,
    FrameSource,
    Masks,
    PathOrFile,
    align_masks,
    open_source,
    resolve_range,
    should_prefetch,
)
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from .text import encode_prompts
from .types import Features, VisualFeatures
from .video import encode_image, encode_video

MAX_SECONDS = Fraction(600)  # seconds of sound in one job
# Seconds of frames that are read at once: few, where those before are looked at meanwhile; many,
# where they are not, since what repeats is encoded once a chunk.
_CHUNK_AHEAD, _CHUNK = 2, 8
_NOTABLE = Fraction(1, 1000)  # seconds: shorter cuts are not worth a word


@dataclass(frozen=True, kw_only=True)
class VideoClip:
    """The part of a video that counts: from ``start``, for ``duration`` (None: to its end).

    Attributes:
        mask: (n, H, W) in [0, 1]: what is white is looked at, what is black is hidden; one, or
            one for each frame of that part. None: all is looked at.
    """

    source: PathOrFile | FrameSource
    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    mask: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class TimeRange:
    """Which seconds of the footage to make sound for, and whether CLIP may see them.

    Attributes:
        duration: seconds of sound; 0 means to the end of the video.
        start: seconds into the video where the sound starts.
        mask_away_clip: leave CLIP's picture out and keep the sync features.
    """

    duration: Fraction = Fraction(8)
    start: Fraction = Fraction(0)
    mask_away_clip: bool = False


@dataclass(frozen=True, kw_only=True)
class VisualResult:
    """Visual features, and what the user should know about them."""

    features: VisualFeatures
    notices: tuple[str, ...] = ()


def extract_visual_features(
    networks: ModelProvider,
    footage: VideoClip | None,
    span: TimeRange,
    progress: Progress = no_progress,
) -> VisualResult:
    """Visual features of a video, of a still picture (one image), or of nothing.

    Raises:
        MediaError: the video cannot be read, or is too short after ``start``.
        MMAudioError: a duration of 0 without a video to take it from.
    """
    source = None if footage is None else open_source(footage.source)
    image = None if source is None else source.still_image
    if footage is None or source is None or image is not None:
        mask = None if footage is None else footage.mask
        return _without_video(networks, image, mask, span, progress)
    available = source.info.duration - footage.start
    if footage.duration is not None:
        available = min(available, footage.duration)
    usable = resolve_range(available, span.start, span.duration or None)
    usable = min(usable, MAX_SECONDS)
    masks, notices = _masks(footage, source, available)
    reader = FrameReader(
        source,
        start=footage.start + span.start,
        duration=usable,
        clip=not span.mask_away_clip,
        masks=masks,
        chunk_seconds=_CHUNK_AHEAD if should_prefetch() else _CHUNK,
    )
    features = encode_video(networks, reader, usable, progress)
    wanted = span.duration or available - span.start
    if features.duration >= wanted - _NOTABLE:
        return VisualResult(features=features, notices=notices)
    end = float(span.start + features.duration)
    why = (
        f"{float(MAX_SECONDS):g} s are the most for one job"
        if features.duration == MAX_SECONDS
        else f"the video ends {end:.2f} s after its start"
    )
    notice = f"the sound is {float(features.duration):.2f} s long, not {float(wanted):g} s: {why}"
    return VisualResult(features=features, notices=(*notices, notice))


def extract_features(
    networks: ModelProvider,
    footage: VideoClip | None,
    span: TimeRange,
    prompt: str = "",
    negative_prompt: str = "",
    progress: Progress = no_progress,
) -> Features:
    """Features of footage and prompts; see ``look``."""
    visual = extract_visual_features(networks, footage, span, progress).features
    text = encode_prompts(networks, prompt, negative_prompt, progress)
    return Features.join(visual, text)


def _masks(
    footage: VideoClip, source: FrameSource, available: Fraction
) -> tuple[Masks | None, tuple[str, ...]]:
    """The footage's masks laid over its frames, and what to say where their number is odd."""
    if footage.mask is None:
        return None, ()
    start, end = footage.start, footage.start + available
    frames = [time for time in source.frame_times() if start <= time < end]
    masks = align_masks(footage.mask, frames, start, available)
    count = len(masks.frames)
    if count in (1, len(frames)):
        return masks, ()
    notice = (
        f"{count} masks were got for the video's {len(frames)} frames, one or {len(frames)} were "
        f"expected: they were spread evenly over its {float(available):.2f} s"
    )
    return masks, (notice,)


def _without_video(
    networks: ModelProvider,
    image: Tensor | None,
    mask: Tensor | None,
    span: TimeRange,
    progress: Progress,
) -> VisualResult:
    if not span.duration:
        raise MMAudioError(
            "a duration of 0 (to the end of the video) was got without a video: set duration to "
            "the seconds of sound wanted, or connect a video"
        )
    clip, notices = None, ()
    if image is not None and not span.mask_away_clip:
        masks = None if mask is None else align_masks(mask, (), Fraction(0), Fraction(0))
        if masks is not None and len(masks.frames) > 1:
            notices = (f"{len(masks.frames)} masks were got for one image: the first was used",)
        clip = encode_image(networks, image, progress, masks)
    return VisualResult(
        features=VisualFeatures(duration=span.duration, clip=clip, sync=None), notices=notices
    )
