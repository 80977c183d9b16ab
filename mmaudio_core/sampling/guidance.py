"""The flow network on a whole job: its conditions, and one velocity for every branch and take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..config import SequenceLengths
from ..models.flow import FlowNetwork
from ..models.flow.conditions import Conditions
from .windows import Window, WindowPlan

_PROJECTED = 8  # windows whose features are projected in one batch
_WHOLE = (Window(latent=0, clip=0, sync=0),)

# Of one branch of guidance: of each window, or of all of them where they are alike.
GuidanceBranch = Sequence[Conditions]


class VelocityFunction(Protocol):
    """``FlowNetwork.forward``."""

    def __call__(
        self, x: Tensor, t: Tensor, conditions: Conditions, which: Tensor | None = None
    ) -> Tensor: ...


def project_conditions(
    network: FlowNetwork,
    plan: WindowPlan | None,
    clip: Tensor | None,
    sync: Tensor | None,
    text: Tensor,
    lengths: SequenceLengths,
) -> GuidanceBranch:
    """Conditions of a whole job, or of each of its windows, whose means are then their own.

    Args:
        network: the flow network.
        plan: where the windows lie; None: one pass.
        clip: (1, V, clip_dim), of the whole job; (1, 1, clip_dim) for a still; None for no picture.
        sync: (1, S, sync_dim); None for no video.
        text: (prompts, 77, text_dim).
        lengths: of the whole job.
    """
    windows = _WHOLE if plan is None else plan.windows
    inside = lengths if plan is None else plan.lengths
    still = sync is None and (clip is None or clip.shape[1] == 1)
    windows = windows[:1] if still and len(text) == 1 else windows
    repeating = sync is None
    clip = network.empty_clip(1, lengths.clip).to(text) if clip is None else clip
    sync = network.empty_sync(1, lengths.sync).to(text) if sync is None else sync
    clip = clip.expand(-1, lengths.clip, -1) if clip.shape[1] == 1 else clip
    branch: list[Conditions] = []
    for first in range(0, len(windows), _PROJECTED):
        some = windows[first : first + _PROJECTED]
        made = network.conditions(
            torch.cat([clip[:, w.clip : w.clip + inside.clip] for w in some]),
            torch.cat([sync[:, w.sync : w.sync + inside.sync] for w in some]),
            text[[w.prompt for w in some]],
            inside.latent,
            repeating=repeating,
        )
        branch += made.split()
    return branch


def predict_velocity(
    network: VelocityFunction,
    x: Tensor,
    t: Tensor,
    branches: Sequence[GuidanceBranch],
    plan: WindowPlan | None,
    *,
    together: int,
) -> Tensor:
    """Velocity of the whole latents: the shape of ``x``.

    Args:
        network: makes the velocity of a batch.
        x: latents (B, N, C), all takes of the first branch of guidance, then of the next.
        t: the time (1,).
        branches: from ``project``; what a few windows need is put together when they run.
        plan: where the windows lie; None: one pass.
        together: latents of one window's length to run in one batch, at least one a row of ``x``.
    """
    takes = len(x) // len(branches)
    if plan is None:
        return network(x, t, *_batch(branches, takes, range(1), x.device))
    parts = plan.cut(x)
    count = parts.shape[1]
    step = max(1, together // len(x))
    velocities: list[Tensor] = []
    for first in range(0, count, step):
        windows = range(first, min(first + step, count))
        some = parts[:, first : first + step]
        v = network(some.flatten(0, 1), t, *_batch(branches, takes, windows, x.device))
        velocities.append(torch.unflatten(v, 0, some.shape[:2]))
    return plan.join(torch.cat(velocities, dim=1), x.shape[1])


def _batch(
    branches: Sequence[GuidanceBranch], takes: int, windows: range, device: torch.device
) -> tuple[Conditions, Tensor]:
    """The sets that some windows need, and which of them each row (branch, take, window) takes."""
    sets: list[Conditions] = []
    which: list[int] = []
    held = 0
    for branch in branches:
        own = [branch[window] for window in windows] if len(branch) > 1 else list(branch)
        each = len(own[0])  # sets of a window: one for all takes, or one a take
        for take in range(takes):
            for window in range(len(windows)):
                at = window if len(own) > 1 else 0
                which.append(held + at * each + (take if each > 1 else 0))
        sets += own
        held += len(own) * each
    # a GPU that is busy with the last step is not waited for
    return Conditions.stack(sets), torch.tensor(which).to(device, non_blocking=True)
