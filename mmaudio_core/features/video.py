"""CLIP and Synchformer features of video frames, and their motion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import torch
from torch import Tensor

from ..config import (
    CLIP_FPS,
    MIN_VIDEO_SECONDS,
    SEGMENT_FRAMES,
    SEGMENT_STEP,
    SEGMENT_TOKENS,
    SYNC_FPS,
    sync_tokens,
)
from ..errors import MMAudioError, Problem
from ..feature_cache import VideoDigests
from ..media import FrameChunk, Masks, image_for_clip, prefetch
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from .encoders import CLIP_IMAGE, SYNCHFORMER, Encoded, concatenate, run_encoder
from .motion import MotionMeter
from .types import VisualFeatures

_SYNC_GROUP_FRAMES = 8 * SYNC_FPS


class Frames(Protocol):
    """The frames of a video, as ``FrameReader`` gives them: once, a chunk at a time."""

    @property
    def duration(self) -> Fraction:
        """Seconds read; known once every chunk has been read."""
        ...

    def __iter__(self) -> Iterator[FrameChunk]: ...


@dataclass(frozen=True, kw_only=True)
class EncodedVideo:
    """Features of a video's frames and segments.

    Attributes:
        duration: seconds of video that were decoded.
        clip: (V, clip_dim), one row per CLIP frame; None if CLIP was left out.
        sync: (segments, 8, sync_dim).
        motion: (n,) energy of motion of each sync frame.
    """

    duration: Fraction
    clip: Encoded | None
    sync: Encoded
    motion: Tensor

    @property
    def digests(self) -> VideoDigests:
        """What the video decoded to."""
        return VideoDigests(
            duration=self.duration,
            clip=None if self.clip is None else self.clip.digests,
            sync=self.sync.digests,
            motion=self.motion,
        )

    @property
    def visual(self) -> VisualFeatures:
        """The same as the flow network's conditions take them."""
        return VisualFeatures(
            duration=self.duration,
            clip=None if self.clip is None else self.clip.features[None],
            sync=self.sync.features.flatten(0, 1)[None],
            motion=self.motion,
        )


def encode_image(
    networks: ModelProvider,
    image: Tensor,
    progress: Progress = no_progress,
    masks: Masks | None = None,
) -> Tensor:
    """CLIP features (1, 1, clip_dim) of an image (H, W, C) in [0, 1], optionally masked."""
    return run_encoder(networks, CLIP_IMAGE, image_for_clip(image, masks), progress).features[None]


def encode_video(
    networks: ModelProvider,
    reader: Frames,
    total: Fraction,
    progress: Progress = no_progress,
    *,
    prefetch_frames: bool = False,
) -> EncodedVideo:
    """CLIP and sync features and motion of the frames of a reader, one chunk at a time.

    Args:
        networks: provides CLIP and Synchformer.
        reader: yields the frames; if it yields none for CLIP, there are no CLIP features.
        total: expected duration in seconds, for ``progress``.
        progress: called at least once per transformer block.
        prefetch_frames: decode the next chunk in a thread while the encoders run. Pays off if
            they run on a GPU; on a CPU the two compete.

    Raises:
        MMAudioError: less than one segment (0.64 s) could be decoded.
    """
    clip_parts: list[Encoded] = []
    sync_parts: list[Encoded] = []
    motion = MotionMeter()
    clip_total = int(CLIP_FPS * total)
    sync_total = sync_tokens(int(SYNC_FPS * total)) // SEGMENT_TOKENS
    clip_done = sync_done = 0
    pending: Tensor | None = None  # sync frames that belong to later segments too
    for chunk in _group_sync_frames(prefetch(reader) if prefetch_frames else reader):
        if len(chunk.clip):
            clip_parts.append(
                run_encoder(networks, CLIP_IMAGE, chunk.clip, progress, clip_done, clip_total)
            )
            clip_done += len(chunk.clip)
        motion.add(chunk.sync)
        pending = chunk.sync if pending is None else torch.cat((pending, chunk.sync))
        segments, pending = _split_segments(pending)
        if len(segments):
            sync_parts.append(
                run_encoder(networks, SYNCHFORMER, segments, progress, sync_done, sync_total)
            )
            sync_done += len(segments)
    if not sync_parts:
        raise MMAudioError(
            f"got {float(reader.duration):.2f} s of decodable video, expected at least "
            f"{float(MIN_VIDEO_SECONDS):g} s",
            Problem.VIDEO_TOO_SHORT,
        )
    return EncodedVideo(
        duration=reader.duration,
        clip=concatenate(clip_parts) if clip_parts else None,
        sync=concatenate(sync_parts),
        motion=motion.energy,
    )


def _group_sync_frames(chunks: Iterable[FrameChunk]) -> Iterator[FrameChunk]:
    """Pass CLIP frames through and collect sync frames into groups of at least 8 s.

    A host with memory for one encoder at a time then swaps the two less often.
    """
    group: list[Tensor] = []
    for chunk in chunks:
        group.append(chunk.sync)
        full = sum(len(frames) for frames in group) >= _SYNC_GROUP_FRAMES
        yield FrameChunk(clip=chunk.clip, sync=torch.cat(group) if full else chunk.sync[:0])
        if full:
            group = []
    if group:
        sync = torch.cat(group)
        yield FrameChunk(clip=sync[:0], sync=sync)


def _split_segments(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Split frames (n, 3, H, W) into overlapping segments.

    Returns:
        Segments (m, 16, 3, H, W), and the frames from the start of the next segment on.
    """
    count = max(0, (len(frames) - SEGMENT_FRAMES) // SEGMENT_STEP + 1)
    if not count:
        return frames.new_empty((0, SEGMENT_FRAMES, *frames.shape[1:])), frames
    starts = range(0, count * SEGMENT_STEP, SEGMENT_STEP)
    segments = torch.stack([frames[start : start + SEGMENT_FRAMES] for start in starts])
    return segments, frames[count * SEGMENT_STEP :]
