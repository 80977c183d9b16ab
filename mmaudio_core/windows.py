"""Long sound: windows of the trained length over one latent, joined at every step.

The network was trained on 8 s and goes a little beyond. Anything longer is cut into windows that
overlap; each sees its own part of the picture, all share one latent and one noise, and their
velocities are joined before each step of the sampler (MultiDiffusion, arXiv 2302.08113).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from .errors import MMAudioError
from .models.flow import Conditions, FlowNetwork
from .sequence import (
    CLIP_FPS,
    SEGMENT_STEP,
    SEGMENT_TOKENS,
    SYNC_FPS,
    AudioFormat,
    SequenceLengths,
    sync_tokens,
)

_SEGMENT = Fraction(SEGMENT_STEP, SYNC_FPS)  # seconds between sync segments: windows start on one


class Join(str, Enum):
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
    join: Join = Join.BLEND

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
    """Where a window's latents, CLIP frames and sync tokens start."""

    latent: int
    clip: int
    sync: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
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
        weights = self.weights.to(device=parts.device, dtype=parts.dtype)
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
) -> Plan | None:
    """Windows over a latent; None where one pass is enough.

    Args:
        lengths: of the whole job.
        duration: seconds of it.
        fmt: rate and hop.
        params: how to cut.
        cuts: seconds at which the picture changes; a join lies on one where it can.
    """
    if duration <= params.whole:
        return None
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
    weights = _weights(windows, inside.latent, overlap, params.join, wanted)
    return Plan(windows=windows, lengths=inside, weights=weights)


def project(
    network: FlowNetwork, plan: Plan | None, clip: Tensor, sync: Tensor, text: Tensor, latents: int
) -> Conditions:
    """Conditions of a whole job, or of each of its windows.

    Args:
        network: the flow network.
        plan: where the windows lie; each tensor of their conditions has a dimension of windows
            after the batch, and their means are each window's own. None: one pass.
        clip: (1, V, clip_dim), of the whole job.
        sync: (1, S, sync_dim).
        text: (1, 77, text_dim).
        latents: N, of the whole job.
    """
    if plan is None:
        return network.conditions(clip, sync, text, latents)
    inside = plan.lengths
    made = network.conditions(
        torch.cat([clip[:, w.clip : w.clip + inside.clip] for w in plan.windows]),
        torch.cat([sync[:, w.sync : w.sync + inside.sync] for w in plan.windows]),
        text.expand(len(plan.windows), -1, -1),
        inside.latent,
    )
    return made.each(lambda tensor: tensor[None])


def window_velocity(
    network: Callable[[Tensor, Tensor, Conditions], Tensor],
    x: Tensor,
    t: Tensor,
    conditions: Conditions,
    plan: Plan,
    *,
    together: int,
) -> Tensor:
    """Velocity of the whole latent ``x`` (B, N, C), from its windows.

    Args:
        network: makes the velocity of a batch of windows.
        x: the latent.
        t: times (B,).
        conditions: from ``project``, of batch B.
        plan: where the windows lie.
        together: latents of one window's length to run in one batch, at least one a take.
    """
    parts = plan.cut(x)
    batch, count = parts.shape[:2]
    step = max(1, together // batch)
    velocities: list[Tensor] = []
    for first in range(0, count, step):
        group = slice(first, first + step)
        some = parts[:, group]
        v = network(
            some.flatten(0, 1),
            t.repeat_interleave(some.shape[1]),
            conditions.each(lambda tensor: tensor[:, group].flatten(0, 1)),  # noqa: B023
        )
        velocities.append(torch.unflatten(v, 0, (batch, -1)))
    return plan.join(torch.cat(velocities, dim=1), x.shape[1])


def _weights(
    windows: Sequence[Window], length: int, overlap: int, join: Join, cuts: Sequence[int]
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


def _ramp(zone: int, join: Join) -> Tensor:
    """How much of each latent where two windows meet is the later one's."""
    if join is Join.AVERAGE:
        return torch.full((zone,), 0.5)
    if join is Join.SWAP:
        return (torch.arange(zone) % 2).float()
    return (torch.arange(zone) + 0.5) / max(zone, 1)
