"""Long sound, and prompts over time: windows over one latent, joined at every step.

The network was trained on 8 s and goes a little beyond. Anything longer is cut into windows that
overlap; each sees its own part of the picture, all share one latent and one noise, and their
velocities are joined before each step of the sampler (MultiDiffusion, arXiv 2302.08113). Where the
prompt changes within a window, the window runs once a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from ..config import (
    CLIP_FPS,
    SEGMENT_STEP,
    SEGMENT_TOKENS,
    SYNC_FPS,
    AudioFormat,
    SequenceLengths,
    sync_tokens,
)
from ..errors import MMAudioError
from ..features.prompt_schedule import Crossfade, prompt_weights

_SEGMENT = Fraction(SEGMENT_STEP, SYNC_FPS)  # seconds between sync segments: windows start on one


class JoinMode(str, Enum):
    """What overlapping windows make of the latents they share."""

    AVERAGE = "average"
    BLEND = "blend"  # from one to the other, evenly
    SWAP = "swap"  # every other latent (arXiv 2502.05130)


@dataclass(frozen=True, kw_only=True)
class WindowParams:
    """How long sound is cut.

    Attributes:
        window: seconds of a window.
        overlap: seconds that neighbours share, at least, and over which they are joined.
    """

    window: Fraction = Fraction(8)
    overlap: Fraction = Fraction(8, 5)
    join: JoinMode = JoinMode.BLEND

    @property
    def whole(self) -> Fraction:
        """Seconds up to which there is only one window: 10 s for windows of 8 s."""
        return self.window * Fraction(5, 4)

    def __post_init__(self) -> None:
        if not Fraction(16, 25) <= self.window or not 0 < self.overlap <= self.window / 2:
            raise MMAudioError(
                f"windows of {float(self.window):g} s that overlap by {float(self.overlap):g} s "
                "were got; a window of at least 0.64 s and an overlap of more than 0 and at most "
                "half the window were expected: change window or overlap"
            )


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where a window's latents, CLIP frames and sync tokens start, and which prompt it hears."""

    latent: int
    clip: int
    sync: int
    prompt: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowPlan:
    """Windows of equal lengths, and how they are joined.

    Attributes:
        lengths: of one window's streams.
        weights: (windows, N of a window); over the whole latent they sum to 1.
    """

    windows: tuple[Window, ...]
    lengths: SequenceLengths
    weights: Tensor

    def cut(self, latent: Tensor) -> Tensor:
        """Latents (B, N, C) to (B, windows, n, C)."""
        length = self.lengths.latent
        return torch.stack([latent[:, w.latent : w.latent + length] for w in self.windows], dim=1)

    def join(self, parts: Tensor, length: int) -> Tensor:
        """Windows (B, W, n, C) to the whole latent (B, length, C)."""
        whole = parts.new_zeros(parts.shape[0], length, parts.shape[3])
        weights = self.weights.to(parts.device, non_blocking=True).to(parts.dtype)
        for index, window in enumerate(self.windows):
            end = window.latent + self.lengths.latent
            whole[:, window.latent : end] += parts[:, index] * weights[index, :, None]
        return whole


@lru_cache(maxsize=16)  # the branches of guidance share one plan, and are batched by that
def plan_windows(
    lengths: SequenceLengths,
    duration: Fraction,
    fmt: AudioFormat,
    params: WindowParams,
    cuts: tuple[float, ...] = (),
    fades: tuple[Crossfade, ...] = (),
) -> WindowPlan | None:
    """Windows over a latent; None where one pass is enough.

    Args:
        lengths: of the whole job.
        duration: seconds of it.
        fmt: rate and hop.
        params: how to cut.
        cuts: seconds at which the picture changes; a join lies on one where it can.
        fades: where each prompt hands over to the next.
    """
    if duration > params.whole:
        windows, inside, weights = _cut_in_time(lengths, fmt, params, cuts)
    elif fades:
        windows, inside = (Window(latent=0, clip=0, sync=0),), lengths
        weights = torch.ones(1, lengths.latent)
    else:
        return None
    if fades:
        windows, weights = _once_a_prompt(
            windows, weights, prompt_weights(fades, lengths.latent, fmt)
        )
    return WindowPlan(windows=windows, lengths=inside, weights=weights)


def _cut_in_time(
    lengths: SequenceLengths, fmt: AudioFormat, params: WindowParams, cuts: tuple[float, ...]
) -> tuple[tuple[Window, ...], SequenceLengths, Tensor]:
    """Windows, the lengths of one, and how much of each latent is whose: (windows, n)."""
    segments = lengths.sync // SEGMENT_TOKENS
    held = sync_tokens(int(SYNC_FPS * params.window)) // SEGMENT_TOKENS
    last = segments - held  # the segment the last window starts on; it ends with the sound
    count = math.ceil(last * _SEGMENT / (params.window - params.overlap)) + 1
    starts = [round(Fraction(i * last, count - 1)) for i in range(count)]
    rate = Fraction(fmt.sample_rate, fmt.samples_per_latent)
    windows = tuple(
        Window(
            latent=round(start * _SEGMENT * rate),
            clip=round(start * _SEGMENT * CLIP_FPS),
            sync=start * SEGMENT_TOKENS,
        )
        for start in starts
    )
    inside = SequenceLengths(
        latent=lengths.latent - windows[-1].latent,
        clip=lengths.clip - windows[-1].clip,
        sync=held * SEGMENT_TOKENS,
        samples=(lengths.latent - windows[-1].latent) * fmt.samples_per_latent,
    )
    wanted = [round(Fraction(cut) * rate) for cut in cuts]
    overlap = round(params.overlap * rate)
    return windows, inside, _weights(windows, inside.latent, overlap, params.join, wanted)


def _once_a_prompt(
    windows: Sequence[Window], weights: Tensor, heard: Tensor
) -> tuple[tuple[Window, ...], Tensor]:
    """Each window once for every prompt that is heard (prompts, N) in what counts of it."""
    made: list[Window] = []
    rows: list[Tensor] = []
    for window, weight in zip(windows, weights, strict=True):
        for prompt, share in enumerate(heard):
            row = weight * share[window.latent : window.latent + len(weight)]
            if bool((row > 0).any()):
                made.append(replace(window, prompt=prompt))
                rows.append(row)
    return tuple(made), torch.stack(rows)


def _weights(
    windows: Sequence[Window], length: int, overlap: int, join: JoinMode, cuts: Sequence[int]
) -> Tensor:
    """How much of each latent is each window's: (windows, length)."""
    weights = torch.ones(len(windows), length)
    for index, (left, right) in enumerate(pairwise(windows)):
        spacing = right.latent - left.latent
        middle = (right.latent + left.latent + length) / 2
        # joins lie apart, so that no latent is shared by more than two windows
        near = [cut for cut in cuts if abs(cut - middle) < min(spacing, length - spacing) / 2]
        zone = min(overlap, spacing, length - spacing)
        if near:  # what is heard changes where what is seen does
            middle, zone = min(near, key=lambda cut: abs(cut - middle)), 0
        first = round(middle - zone / 2)
        after = torch.cat(
            (torch.zeros(first), _ramp(zone, join), torch.ones(right.latent + length))
        )
        weights[index] *= 1 - after[left.latent : left.latent + length]
        weights[index + 1] *= after[right.latent : right.latent + length]
    return weights


def _ramp(zone: int, join: JoinMode) -> Tensor:
    """How much of each latent where two windows meet is the later one's."""
    if join is JoinMode.AVERAGE:
        return torch.full((zone,), 0.5)
    if join is JoinMode.SWAP:
        return (torch.arange(zone) % 2).float()
    return (torch.arange(zone) + 0.5) / max(zone, 1)
