"""Overlapping windows over one latent, for long audio and prompt schedules.

The flow network was trained on 8 s and generalizes a little beyond. Longer latents are split into
overlapping windows; each is conditioned on its own part of the features, all share one latent and
one noise, and their velocities are joined before every step of the sampler (MultiDiffusion, arXiv
2302.08113). A window in which the prompt changes runs once per prompt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from itertools import pairwise

import torch
from torch import Tensor
from typing_extensions import assert_never  # torch requires it; typing's is new in Python 3.11

from ..config import (
    CLIP_FPS,
    MIN_VIDEO_SECONDS,
    SEGMENT_STEP,
    SEGMENT_TOKENS,
    SYNC_FPS,
    AudioFormat,
    SequenceLengths,
    sync_tokens,
)
from ..errors import MMAudioError, Problem
from ..features.prompt_schedule import Crossfade, prompt_weights
from ..models.ops import copy_to

_SEGMENT_SECONDS = Fraction(SEGMENT_STEP, SYNC_FPS)  # windows start at a sync segment


class JoinMode(str, Enum):
    """How the latents shared by two windows are combined."""

    AVERAGE = "average"
    BLEND = "blend"  # linear crossfade
    INTERLEAVE = "swap"  # alternating latents (arXiv 2502.05130)


@dataclass(frozen=True, kw_only=True)
class WindowParams:
    """How long latents are split.

    Attributes:
        window: seconds per window.
        overlap: least seconds that consecutive windows share, and the length of their join.
        join: how the shared latents are combined.

    Raises:
        MMAudioError: the window or the overlap is out of range.
    """

    window: Fraction = Fraction(8)
    overlap: Fraction = Fraction(8, 5)
    join: JoinMode = JoinMode.BLEND

    @property
    def single_pass(self) -> Fraction:
        """Longest duration in seconds that is not split: 10 s for windows of 8 s."""
        return self.window * Fraction(5, 4)

    def __post_init__(self) -> None:
        if self.window < MIN_VIDEO_SECONDS or not 0 < self.overlap <= self.window / 2:
            raise MMAudioError(
                f"got windows of {float(self.window):g} s with an overlap of "
                f"{float(self.overlap):g} s, expected at least {float(MIN_VIDEO_SECONDS):g} s and "
                "an overlap above 0 and at most half the window",
                Problem.WINDOWS,
            )


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where a window starts in each sequence, and the index of its prompt.

    Attributes:
        latent_start: index of its first latent.
        clip_start: index of its first CLIP frame.
        sync_start: index of its first sync token.
        prompt: index of its prompt.
    """

    latent_start: int
    clip_start: int
    sync_start: int
    prompt: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowPlan:
    """Windows of equal length and the weights that join them.

    Attributes:
        lengths: sequence lengths of one window.
        weights: (windows, n); over the whole latent they sum to 1.
    """

    windows: tuple[Window, ...]
    lengths: SequenceLengths
    weights: Tensor

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, WindowPlan)
            and self.windows == other.windows
            and self.lengths == other.lengths
            and torch.equal(self.weights, other.weights)
        )

    def __hash__(self) -> int:
        return hash((self.windows, self.lengths))

    def split(self, latent: Tensor) -> Tensor:
        """Split latents (B, N, C) into windows (B, windows, n, C)."""
        length = self.lengths.latent
        return torch.stack(
            [latent[:, w.latent_start : w.latent_start + length] for w in self.windows], dim=1
        )

    def join(self, parts: Tensor, length: int) -> Tensor:
        """Join windows (B, windows, n, C) into latents (B, length, C)."""
        joined = parts.new_zeros(parts.shape[0], length, parts.shape[3])
        weights = copy_to(self.weights, parts.device).to(parts.dtype)
        for index, window in enumerate(self.windows):
            end = window.latent_start + self.lengths.latent
            joined[:, window.latent_start : end] += parts[:, index] * weights[index, :, None]
        return joined


def plan_windows(
    lengths: SequenceLengths,
    duration: Fraction,
    fmt: AudioFormat,
    params: WindowParams,
    cuts: tuple[float, ...] = (),
    crossfades: tuple[Crossfade, ...] = (),
) -> WindowPlan | None:
    """Plan windows over a latent; None if a single pass is enough.

    Args:
        lengths: sequence lengths of the whole job.
        duration: seconds of the whole job.
        fmt: audio format of the latents.
        params: how to split.
        cuts: seconds of shot changes; windows are joined at a cut if one is near.
        crossfades: transitions between consecutive prompts.
    """
    if duration > params.single_pass:
        windows, window_lengths, weights = _split_duration(lengths, fmt, params, cuts)
    elif crossfades:
        windows, window_lengths = (Window(latent_start=0, clip_start=0, sync_start=0),), lengths
        weights = torch.ones(1, lengths.latent)
    else:
        return None
    if crossfades:
        by_prompt = prompt_weights(crossfades, lengths.latent, fmt)
        windows, weights = _split_by_prompt(windows, weights, by_prompt)
    return WindowPlan(windows=windows, lengths=window_lengths, weights=weights)


def _split_duration(
    lengths: SequenceLengths, fmt: AudioFormat, params: WindowParams, cuts: tuple[float, ...]
) -> tuple[tuple[Window, ...], SequenceLengths, Tensor]:
    """Windows, the lengths of one, and their weights (windows, n)."""
    segments = lengths.sync // SEGMENT_TOKENS
    window_segments = sync_tokens(int(SYNC_FPS * params.window)) // SEGMENT_TOKENS
    last = segments - window_segments  # segment at which the last window starts
    count = math.ceil(last * _SEGMENT_SECONDS / (params.window - params.overlap)) + 1
    starts = [round(Fraction(i * last, count - 1)) for i in range(count)]
    latent_rate = Fraction(fmt.sample_rate, fmt.samples_per_latent)
    windows = tuple(
        Window(
            latent_start=round(start * _SEGMENT_SECONDS * latent_rate),
            clip_start=round(start * _SEGMENT_SECONDS * CLIP_FPS),
            sync_start=start * SEGMENT_TOKENS,
        )
        for start in starts
    )
    length = lengths.latent - windows[-1].latent_start
    window_lengths = SequenceLengths(
        latent=length,
        clip=lengths.clip - windows[-1].clip_start,
        sync=window_segments * SEGMENT_TOKENS,
        samples=length * fmt.samples_per_latent,
    )
    cut_latents = [round(Fraction(cut) * latent_rate) for cut in cuts]
    overlap = round(params.overlap * latent_rate)
    return windows, window_lengths, _weights(windows, length, overlap, params.join, cut_latents)


def _split_by_prompt(
    windows: Sequence[Window], weights: Tensor, by_prompt: Tensor
) -> tuple[tuple[Window, ...], Tensor]:
    """Repeat each window for every prompt with a weight above 0, given as (prompts, N), in it."""
    prompted: list[Window] = []
    rows: list[Tensor] = []
    for window, weight in zip(windows, weights, strict=True):
        for prompt, prompt_weight in enumerate(by_prompt):
            row = weight * prompt_weight[window.latent_start : window.latent_start + len(weight)]
            if bool((row > 0).any()):
                prompted.append(replace(window, prompt=prompt))
                rows.append(row)
    return tuple(prompted), torch.stack(rows)


def _weights(
    windows: Sequence[Window], length: int, overlap: int, join: JoinMode, cuts: Sequence[int]
) -> Tensor:
    """Weight of each window at each of its latents: (windows, length)."""
    weights = torch.ones(len(windows), length)
    for index, (left, right) in enumerate(pairwise(windows)):
        spacing = right.latent_start - left.latent_start
        middle = (right.latent_start + left.latent_start + length) / 2
        # limited so that joins do not overlap and at most two windows share a latent
        near = [cut for cut in cuts if abs(cut - middle) < min(spacing, length - spacing) / 2]
        zone = min(overlap, spacing, length - spacing)
        if near:  # at a cut the audio may change abruptly, as the picture does
            middle, zone = min(near, key=lambda cut: abs(cut - middle)), 0
        first = round(middle - zone / 2)
        after = torch.cat(
            (torch.zeros(first), _ramp(zone, join), torch.ones(right.latent_start + length))
        )
        weights[index] *= 1 - after[left.latent_start : left.latent_start + length]
        weights[index + 1] *= after[right.latent_start : right.latent_start + length]
    return weights


def _ramp(zone: int, join: JoinMode) -> Tensor:
    """Weight of the later window across a join: (zone,)."""
    match join:
        case JoinMode.AVERAGE:
            return torch.full((zone,), 0.5)
        case JoinMode.BLEND:
            return (torch.arange(zone) + 0.5) / max(zone, 1)
        case JoinMode.INTERLEAVE:
            return (torch.arange(zone) % 2).float()
        case _:
            assert_never(join)
