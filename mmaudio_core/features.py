"""From frames and prompts to the features that condition the flow."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from .checkpoint import PartKind
from .errors import MMAudioError
from .media import FrameReader, Masks, still
from .models.clip import CLIP
from .models.synchformer import Synchformer
from .models.tokenizer import tokenize
from .networks import Networks, Placed, check_finite
from .progress import Progress, silent, watched
from .schedule import Fade, fades, parse_schedule
from .sequence import (
    CLIP_FPS,
    SEGMENT_FRAMES,
    SEGMENT_STEP,
    SEGMENT_TOKENS,
    SYNC_FPS,
    sync_tokens,
)

log = logging.getLogger(__name__)

CLIP_STAGE, SYNC_STAGE, TEXT_STAGE = "CLIP", "Synchformer", "text"
_CLIP_BATCH = 16  # frames
_SYNC_BATCH = 8  # segments
# Rough bytes of activations an item, at two bytes an element: tokens * width * live tensors.
_CLIP_BYTES = 730 * 1280 * 24
_SYNC_BYTES = 1569 * 768 * 24


@dataclass(frozen=True, kw_only=True)
class VisualFeatures:
    """What the picture gives; float32 on the CPU.

    Attributes:
        duration: seconds of sound to make, exactly.
        clip: (1, V, clip_dim); (1, 1, clip_dim) for a still picture; None for no picture.
        sync: (1, S, sync_dim); None for no video.
    """

    duration: Fraction
    clip: Tensor | None
    sync: Tensor | None


@dataclass(frozen=True, kw_only=True)
class TextFeatures:
    """What the prompts give; float32 on the CPU.

    Attributes:
        prompt: (1, 77, text_dim).
        negative: (1, 77, text_dim), what guidance moves away from.
    """

    prompt: Tensor
    negative: Tensor


@dataclass(frozen=True, kw_only=True)
class Features:
    """What the flow is conditioned on: see ``VisualFeatures`` and ``TextFeatures``.

    Attributes:
        text: (prompts, 77, text_dim), one unless there is a schedule.
        negative: the same shape.
        fades: where each prompt hands over to the next.
    """

    duration: Fraction
    clip: Tensor | None
    sync: Tensor | None
    text: Tensor
    negative: Tensor
    fades: tuple[Fade, ...] = ()

    @classmethod
    def join(cls, visual: VisualFeatures, text: TextFeatures) -> Features:
        """Both halves together."""
        return cls(
            duration=visual.duration,
            clip=visual.clip,
            sync=visual.sync,
            text=text.prompt,
            negative=text.negative,
        )


def encode_prompts(
    networks: Networks, prompt: str, negative_prompt: str, progress: Progress = silent
) -> TextFeatures:
    """Text features of both prompts."""
    text, negative = torch.split(_encode_text(networks, (prompt, negative_prompt), progress), 1)
    return TextFeatures(prompt=text, negative=negative)


def schedule_prompts(
    networks: Networks,
    features: Features,
    schedule: str,
    crossfade: Fraction,
    progress: Progress = silent,
) -> Features:
    """The same features with other prompts over time: see ``parse_schedule`` and ``fades``.

    Raises:
        MMAudioError: a schedule that does not read, or features that have one already.
    """
    if features.fades:
        raise MMAudioError(
            "features that have a schedule already were got: connect those of MMAudio Feature "
            "Extract, and write one schedule"
        )
    sections = parse_schedule(schedule, features.duration)
    written = [words for s in sections for words in (s.prompt, s.negative) if words is not None]
    texts = list(dict.fromkeys(written))
    made = dict(zip(texts, _encode_text(networks, texts, progress), strict=True))

    def rows(words: Iterable[str | None], otherwise: Tensor) -> Tensor:
        return torch.stack([otherwise[0] if w is None else made[w] for w in words])

    return replace(
        features,
        text=rows((s.prompt for s in sections), features.text),
        negative=rows((s.negative for s in sections), features.negative),
        fades=fades(sections, crossfade),
    )


def _encode_text(networks: Networks, texts: Sequence[str], progress: Progress) -> Tensor:
    """(texts, 77, text_dim), float32 on the CPU."""
    placed = networks.use(PartKind.CLIP, min(len(texts), _CLIP_BATCH) * _CLIP_BYTES)
    clip = _clip(placed)
    batches = list(_batches(tokenize(texts), _CLIP_BATCH))
    parts: list[Tensor] = []
    with torch.no_grad(), watched(clip, lambda: progress(TEXT_STAGE, len(parts), len(batches))):
        for tokens in batches:
            made = clip.encode_text(tokens.to(placed.device), dtype=placed.dtype)
            parts.append(made.float().cpu())
    progress(TEXT_STAGE, len(batches), len(batches))
    log.info("encoded %d prompts", len(texts))
    return check_finite(torch.cat(parts), "text encoder", placed)


def encode_still(
    networks: Networks, image: Tensor, progress: Progress = silent, masks: Masks | None = None
) -> Tensor:
    """CLIP features (1, 1, clip_dim) of one image (H, W, C) in [0, 1], as far as it is seen."""
    return _encode_clip(networks, still(image, masks), progress, 0, 1)[None]


def encode_video(
    networks: Networks, reader: FrameReader, total: Fraction, progress: Progress = silent
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
    for chunk in reader:
        if len(chunk.clip):
            clip_parts.append(_encode_clip(networks, chunk.clip, progress, clip_done, clip_total))
            clip_done += len(chunk.clip)
        held = chunk.sync if held is None else torch.cat((held, chunk.sync))
        segments, held = _segments(held)
        if len(segments):
            sync_parts.append(_encode_sync(networks, segments, progress, sync_done, sync_total))
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


def _segments(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Overlapping segments (n, 16, 3, H, W) of ``frames``, and the frames still needed."""
    count = max(0, (len(frames) - SEGMENT_FRAMES) // SEGMENT_STEP + 1)
    starts = range(0, count * SEGMENT_STEP, SEGMENT_STEP)
    if not count:
        return frames.new_empty((0, SEGMENT_FRAMES, *frames.shape[1:])), frames
    segments = torch.stack([frames[start : start + SEGMENT_FRAMES] for start in starts])
    return segments, frames[count * SEGMENT_STEP :]


def _encode_clip(
    networks: Networks, frames: Tensor, progress: Progress, done: int, total: int
) -> Tensor:
    placed = networks.use(PartKind.CLIP, _CLIP_BATCH * _CLIP_BYTES)
    clip = _clip(placed)
    parts: list[Tensor] = []
    for batch in _batches(frames, _CLIP_BATCH):
        with (
            torch.no_grad(),
            watched(clip, lambda: progress(CLIP_STAGE, done, total)),  # noqa: B023
        ):
            features = clip.encode_image(batch.to(placed.device), dtype=placed.dtype)
        parts.append(features.float().cpu())
        done = min(done + len(batch), total)
        progress(CLIP_STAGE, done, total)
    return check_finite(torch.cat(parts), "CLIP image encoder", placed)


def _encode_sync(
    networks: Networks, segments: Tensor, progress: Progress, done: int, total: int
) -> Tensor:
    placed = networks.use(PartKind.SYNCHFORMER, _SYNC_BATCH * _SYNC_BYTES)
    synchformer = placed.network
    assert isinstance(synchformer, Synchformer)
    parts: list[Tensor] = []
    for batch in _batches(segments, _SYNC_BATCH):
        with (
            torch.no_grad(),
            watched(synchformer, lambda: progress(SYNC_STAGE, done, total)),  # noqa: B023
        ):
            features = synchformer.encode_segments(batch.to(placed.device), dtype=placed.dtype)
        parts.append(features.flatten(0, 1).float().cpu())
        done = min(done + len(batch), total)
        progress(SYNC_STAGE, done, total)
    return check_finite(torch.cat(parts), "Synchformer", placed)


def _clip(placed: Placed) -> CLIP:
    clip = placed.network
    assert isinstance(clip, CLIP)
    return clip


def _batches(items: Tensor, size: int) -> Iterator[Tensor]:
    return iter(torch.split(items, size))
