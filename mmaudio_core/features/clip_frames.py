"""A video's frames as CLIP sees them, and how they move: what its description is made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..checkpoint import PartKind
from ..config import CLIP_FPS
from ..feature_cache import VideoDigests
from ..media import FrameReader, image_for_clip, open_source, prefetch
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from .encoders import CLIP_IMAGE, Encoded, concatenate, run_encoder
from .motion import thumbnails
from .pace import frame_steps
from .visual import TimeRange, UsedPart, VideoClip, used_part


@dataclass(frozen=True, kw_only=True)
class ClipFrames:
    """Frames of a video, 8 per second; of a still image, that one.

    Attributes:
        features: CLIP features (V, clip_dim), unit vectors: those that the flow network gets.
        steps: (V - 1,), from ``frame_steps``.
    """

    features: Tensor
    steps: Tensor


def read_clip_frames(
    networks: ModelProvider,
    video: VideoClip,
    time_range: TimeRange,
    progress: Progress = no_progress,
    *,
    prefetch_frames: bool = False,
) -> ClipFrames:
    """The frames of a part of a video, from the cache where they are in it.

    CLIP's features are cached under the same digests as those of ``extract_visual_features``: of
    the two, whichever runs second encodes no frame again.

    Args:
        networks: provides CLIP and the cache.
        video: the input; its mask is not used.
        time_range: the part of it.
        progress: called at least once per transformer block.
        prefetch_frames: see ``encode_video``.

    Raises:
        MediaError: the video cannot be read, or is too short after the start.
    """
    image = open_source(video.source).still_image
    if image is not None:
        encoded = run_encoder(networks, CLIP_IMAGE, image_for_clip(image), progress)
        return ClipFrames(features=encoded.features, steps=torch.zeros(0))
    part = used_part(video, time_range)
    key = None
    if part.source.identity is not None:
        fingerprint = networks.fingerprint(PartKind.CLIP)
        key = ("clip frames", part.source.identity, part.start, part.duration, fingerprint)
    cache = networks.feature_cache
    known = None if key is None else cache.get_video(key)
    if known is not None and known.clip is not None:
        features = cache.get_all(known.clip)
        if features is not None:
            return ClipFrames(features=features, steps=known.motion)
    reader = FrameReader(part.source, start=part.start, duration=part.duration, sync=False)
    encoded, steps = _encode(networks, part, reader, progress, prefetch_frames=prefetch_frames)
    if key is not None:
        digests = VideoDigests(
            duration=reader.duration, clip=encoded.digests, sync=(), motion=steps
        )
        cache.put_video(key, digests)
    return ClipFrames(features=encoded.features, steps=steps)


def _encode(
    networks: ModelProvider,
    part: UsedPart,
    reader: FrameReader,
    progress: Progress,
    *,
    prefetch_frames: bool,
) -> tuple[Encoded, Tensor]:
    total = int(CLIP_FPS * part.duration)
    encoded: list[Encoded] = []
    small: list[Tensor] = []
    done = 0
    for chunk in prefetch(reader) if prefetch_frames else reader:
        encoded.append(run_encoder(networks, CLIP_IMAGE, chunk.clip, progress, done, total))
        small.append(thumbnails(chunk.clip))
        done += len(chunk.clip)
    return concatenate(encoded), frame_steps(torch.cat(small))
