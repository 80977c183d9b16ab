"""From frames and prompts to the features that condition the flow."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from ..config import CLIP_FPS, SEGMENT_FRAMES, SEGMENT_STEP, SEGMENT_TOKENS, SYNC_FPS, sync_tokens
from ..errors import MMAudioError
from ..media import FrameChunk, FrameReader, Masks, reads_ahead, still
from ..media import prefetch as ahead
from ..models.clip.tokenizer import tokenize
from ..progress import Progress, silent
from ..providers import Networks
from .encoders import FRAMES, SEGMENTS, TEXTS, encode
from .prompt_schedule import Fade, fades, parse_schedule

log = logging.getLogger(__name__)

_GATHERED = 8 * SYNC_FPS  # frames


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
    features = encode(networks, TEXTS, tokenize(texts), progress)
    log.info("encoded %d prompts", len(texts))
    return features


def encode_still(
    networks: Networks, image: Tensor, progress: Progress = silent, masks: Masks | None = None
) -> Tensor:
    """CLIP features (1, 1, clip_dim) of one image (H, W, C) in [0, 1], as far as it is seen."""
    return encode(networks, FRAMES, still(image, masks), progress)[None]


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
    for chunk in _gathered(ahead(reader) if reads_ahead() else reader):
        if len(chunk.clip):
            clip_parts.append(encode(networks, FRAMES, chunk.clip, progress, clip_done, clip_total))
            clip_done += len(chunk.clip)
        held = chunk.sync if held is None else torch.cat((held, chunk.sync))
        segments, held = _segments(held)
        if len(segments):
            tokens = encode(networks, SEGMENTS, segments, progress, sync_done, sync_total)
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
