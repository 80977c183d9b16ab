"""Visual features of frames, as a reader yields them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction

import torch
from torch import Tensor

from ..config import CLIP_FPS, SEGMENT_FRAMES, SEGMENT_STEP, SEGMENT_TOKENS, SYNC_FPS, sync_tokens
from ..errors import MMAudioError
from ..media import FrameChunk, FrameReader, Masks, image_for_clip, prefetch, should_prefetch
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from .encoders import CLIP_IMAGE, SYNCHFORMER, run_encoder
from .types import VisualFeatures

log = logging.getLogger(__name__)

_GATHERED = 8 * SYNC_FPS  # frames


def encode_image(
    networks: ModelProvider,
    image: Tensor,
    progress: Progress = no_progress,
    masks: Masks | None = None,
) -> Tensor:
    """CLIP features (1, 1, clip_dim) of one image (H, W, C) in [0, 1], as far as it is seen."""
    return run_encoder(networks, CLIP_IMAGE, image_for_clip(image, masks), progress)[None]


def encode_video(
    networks: ModelProvider, reader: FrameReader, total: Fraction, progress: Progress = no_progress
) -> VisualFeatures:
    """CLIP and sync features of the frames a reader gives, a chunk at a time.

    Args:
        networks: where CLIP and Synchformer come from.
        reader: gives frames; without its CLIP stream, there are no CLIP features.
        total: seconds expected, for progress.
        progress: called at least once a transformer block.

    Raises:
        MMAudioError: less than one segment (0.64 s) could be decoded.
    """
    clip_parts: list[Tensor] = []
    sync_parts: list[Tensor] = []
    clip_total = int(CLIP_FPS * total)
    sync_total = sync_tokens(int(SYNC_FPS * total)) // SEGMENT_TOKENS
    clip_done = sync_done = 0
    held: Tensor | None = None  # sync frames that later segments need too
    for chunk in _gathered(prefetch(reader) if should_prefetch() else reader):
        if len(chunk.clip):
            clip_parts.append(
                run_encoder(networks, CLIP_IMAGE, chunk.clip, progress, clip_done, clip_total)
            )
            clip_done += len(chunk.clip)
        held = chunk.sync if held is None else torch.cat((held, chunk.sync))
        segments, held = _segments(held)
        if len(segments):
            tokens = run_encoder(networks, SYNCHFORMER, segments, progress, sync_done, sync_total)
            sync_parts.append(tokens.flatten(0, 1))
            sync_done += len(segments)
    if not sync_parts:
        raise MMAudioError(
            f"only {float(reader.duration):.2f} s of video could be decoded, at least 0.64 s are "
            "needed: use a longer video, or a smaller start_offset"
        )
    log.info("encoded %d CLIP frames and %d sync segments", clip_done, sync_done)
    return VisualFeatures(
        duration=reader.duration,
        clip=torch.cat(clip_parts)[None] if clip_parts else None,
        sync=torch.cat(sync_parts)[None],
    )


def _gathered(chunks: Iterable[FrameChunk]) -> Iterator[FrameChunk]:
    """CLIP's frames as they come, Synchformer's many at a time.

    Where there is room for one encoder at a time, a host changes between them that often.
    """
    held: list[Tensor] = []
    for chunk in chunks:
        held.append(chunk.sync)
        enough = sum(len(frames) for frames in held) >= _GATHERED
        yield FrameChunk(clip=chunk.clip, sync=torch.cat(held) if enough else chunk.sync[:0])
        if enough:
            held = []
    if held:
        sync = torch.cat(held)
        yield FrameChunk(clip=sync[:0], sync=sync)


def _segments(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Overlapping segments (n, 16, 3, H, W) of ``frames``, and the frames still needed."""
    count = max(0, (len(frames) - SEGMENT_FRAMES) // SEGMENT_STEP + 1)
    starts = range(0, count * SEGMENT_STEP, SEGMENT_STEP)
    if not count:
        return frames.new_empty((0, SEGMENT_FRAMES, *frames.shape[1:])), frames
    segments = torch.stack([frames[start : start + SEGMENT_FRAMES] for start in starts])
    return segments, frames[count * SEGMENT_STEP :]
