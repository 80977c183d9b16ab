"""Visual features of a job's input: a video, a still image, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from torch import Tensor

from ..checkpoint import PartKind
from ..errors import MMAudioError, Problem
from ..feature_cache import FeatureCache, VideoDigests
from ..media import (
    FrameReader,
    FrameSource,
    Masks,
    PathOrBytes,
    align_masks,
    open_source,
    resolve_range,
)
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from .types import VisualFeatures
from .video import encode_image, encode_video

MAX_SECONDS = Fraction(600)  # longest audio of one job
# Seconds of frames per chunk: few if the next chunk is decoded in parallel; many if not, because
# repeated frames are encoded once per chunk.
_PREFETCH_CHUNK, _CHUNK = 2, 8
_REPORTED_CUT = Fraction(1, 1000)  # seconds; smaller differences in duration go unreported


@dataclass(frozen=True, kw_only=True)
class VideoClip:
    """The part of a video that a job uses.

    Attributes:
        source: file, or images with a frame rate; a single image is a still.
        start: seconds into the source where the clip starts.
        duration: seconds of the clip; None for the rest of the source.
        mask: (n, H, W) in [0, 1], one mask or one per frame of the clip; the encoders see white
            areas only. None: they see everything.
    """

    source: PathOrBytes | FrameSource
    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    mask: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class TimeRange:
    """Seconds of a clip to generate audio for.

    Attributes:
        duration: seconds of audio; 0 for the rest of the clip.
        start: seconds into the clip where the audio starts.
        mask_away_clip: leave out the CLIP features and keep the sync features.
    """

    duration: Fraction = Fraction(8)
    start: Fraction = Fraction(0)
    mask_away_clip: bool = False


@dataclass(frozen=True, kw_only=True)
class VisualResult:
    """Visual features, and notices for the user on how they differ from the request."""

    features: VisualFeatures
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UsedPart:
    """What of a video's source is used.

    Attributes:
        source: where frames come from.
        available: seconds of the clip.
        start: seconds into the source.
        duration: seconds that are used, at most ``MAX_SECONDS``.
    """

    source: FrameSource
    available: Fraction
    start: Fraction
    duration: Fraction


def used_part(video: VideoClip, time_range: TimeRange) -> UsedPart:
    """What of a moving video is used.

    Raises:
        MediaError: the video cannot be read, or is too short after the start.
    """
    source = open_source(video.source)
    available = source.info.duration - video.start
    if video.duration is not None:
        available = min(available, video.duration)
    duration = resolve_range(available, time_range.start, time_range.duration or None)
    return UsedPart(
        source=source,
        available=available,
        start=video.start + time_range.start,
        duration=min(duration, MAX_SECONDS),
    )


def extract_visual_features(
    networks: ModelProvider,
    video: VideoClip | None,
    time_range: TimeRange,
    progress: Progress = no_progress,
    *,
    prefetch_frames: bool = False,
) -> VisualResult:
    """Visual features of a video, of a still image, or of nothing.

    Args:
        networks: provides CLIP and Synchformer.
        video: the input; None for audio from text alone.
        time_range: the part of it to generate audio for.
        progress: called at least once per transformer block.
        prefetch_frames: see ``encode_video``.

    Raises:
        MediaError: the video cannot be read, or is too short after the start.
        MMAudioError: the duration is 0 and there is no video.
    """
    if video is None:
        features, notices = _without_video(time_range)
        if time_range.mask_away_clip:
            notices += ("got no picture to mask away: mask_away_clip was ignored",)
        return VisualResult(features=features, notices=notices)
    source = open_source(video.source)
    image = source.still_image
    if image is not None:
        return _still_features(networks, image, video.mask, time_range, progress)
    part = used_part(video, time_range)
    start, duration, available = part.start, part.duration, part.available
    masks, notices = _align_masks(video, source, available)
    with_clip = not time_range.mask_away_clip
    key = None
    if masks is None and source.identity is not None:
        key = (source.identity, start, duration, with_clip, *_fingerprints(networks))
    known = None if key is None else networks.feature_cache.get_video(key)
    features = None if known is None else recall_features(networks.feature_cache, known)
    if features is None:
        reader = FrameReader(
            source,
            start=start,
            duration=duration,
            clip=with_clip,
            masks=masks,
            chunk_seconds=_PREFETCH_CHUNK if prefetch_frames else _CHUNK,
        )
        encoded = encode_video(
            networks, reader, duration, progress, prefetch_frames=prefetch_frames
        )
        features = encoded.visual
        if key is not None:
            networks.feature_cache.put_video(key, encoded.digests)
    requested = time_range.duration or available - time_range.start
    notices += shortened(features.duration, requested, time_range.start)
    return VisualResult(features=features, notices=notices)


def _fingerprints(networks: ModelProvider) -> tuple[str, str]:
    return networks.fingerprint(PartKind.CLIP), networks.fingerprint(PartKind.SYNCHFORMER)


def recall_features(cache: FeatureCache, digests: VideoDigests) -> VisualFeatures | None:
    """Features of a range that was decoded before, if none of them has been dropped since."""
    sync = cache.get_all(digests.sync)
    clip = None if digests.clip is None else cache.get_all(digests.clip)
    if sync is None or (clip is None) != (digests.clip is None):
        return None
    return VisualFeatures(
        duration=digests.duration,
        clip=None if clip is None else clip[None],
        sync=sync.flatten(0, 1)[None],
        motion=digests.motion,
    )


def shortened(duration: Fraction, requested: Fraction, start: Fraction) -> tuple[str, ...]:
    """A notice if the sound of a video is shorter than was requested, all in seconds."""
    if duration >= requested - _REPORTED_CUT:
        return ()
    reason = (
        f"one job generates at most {float(MAX_SECONDS):g} s"
        if duration == MAX_SECONDS
        else f"the video ends {float(start + duration):.2f} s after its start"
    )
    return (f"the sound is {float(duration):.2f} s long, not {float(requested):g} s: {reason}",)


def _align_masks(
    video: VideoClip, source: FrameSource, available: Fraction
) -> tuple[Masks | None, tuple[str, ...]]:
    """Assign the clip's masks to its frames; a notice if there is not one per frame."""
    if video.mask is None:
        return None, ()
    start, end = video.start, video.start + available
    frames = [time for time in source.frame_times() if start <= time < end]
    masks = align_masks(video.mask, frames, start, available)
    count = len(masks.frames)
    if count in (1, len(frames)):
        return masks, ()
    notice = (
        f"got {count} masks for the video's {len(frames)} frames, expected one or {len(frames)}: "
        f"they were spread evenly over its {float(available):.2f} s"
    )
    return masks, (notice,)


def _still_features(
    networks: ModelProvider,
    image: Tensor,
    mask: Tensor | None,
    time_range: TimeRange,
    progress: Progress,
) -> VisualResult:
    features, notices = _without_video(time_range)
    if time_range.mask_away_clip:
        return VisualResult(features=features, notices=notices)
    masks = None
    if mask is not None:
        masks = align_masks(mask, (), Fraction(0), Fraction(0))
        if len(masks.frames) > 1:
            notices += (f"got {len(masks.frames)} masks for one image: the first was used",)
    clip = encode_image(networks, image, progress, masks)
    return VisualResult(features=replace(features, clip=clip), notices=notices)


def _without_video(time_range: TimeRange) -> tuple[VisualFeatures, tuple[str, ...]]:
    """Features of nothing but a duration, and a notice if a start was asked for."""
    if not time_range.duration:
        raise MMAudioError(
            "got a duration of 0 (the rest of the video) without a video, expected a positive "
            "duration",
            Problem.NO_DURATION,
        )
    notices: tuple[str, ...] = ()
    if time_range.start:
        notices = (
            f"got a start of {float(time_range.start):g} s without a video to start in: it was"
            " ignored",
        )
    return VisualFeatures(duration=time_range.duration, clip=None, sync=None), notices
