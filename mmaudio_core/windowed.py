"""The flow network on windows: their conditions, and one velocity from all of theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .models.flow import Conditions, FlowNetwork
from .sequence import SequenceLengths
from .windows import Plan, Window

_PROJECTED = 8  # windows whose features are projected in one batch


def project(
    network: FlowNetwork,
    plan: Plan | None,
    clip: Tensor | None,
    sync: Tensor | None,
    text: Tensor,
    lengths: SequenceLengths,
) -> Conditions:
    """Conditions of a whole job, or of each of its windows.

    Args:
        network: the flow network.
        plan: where the windows lie; each tensor of their conditions is (1, windows, ...), or
            (1, 1, ...) where it is the same for all, and their means are each window's own. None:
            one pass.
        clip: (1, V, clip_dim), of the whole job; (1, 1, clip_dim) for a still; None for no picture.
        sync: (1, S, sync_dim); None for no video.
        text: (prompts, 77, text_dim).
        lengths: of the whole job.
    """
    windows = (Window(latent=0, clip=0, sync=0),) if plan is None else plan.windows
    inside = lengths if plan is None else plan.lengths
    alike = len(text) == 1 and sync is None and (clip is None or clip.shape[1] == 1)
    windows = windows[:1] if alike else windows
    clip = network.empty_clip(1, lengths.clip).to(text) if clip is None else clip
    sync = network.empty_sync(1, lengths.sync).to(text) if sync is None else sync
    clip = clip.expand(-1, lengths.clip, -1) if clip.shape[1] == 1 else clip
    made = [
        network.conditions(
            torch.cat([clip[:, w.clip : w.clip + inside.clip] for w in some]),
            torch.cat([sync[:, w.sync : w.sync + inside.sync] for w in some]),
            text[[w.prompt for w in some]],
            inside.latent,
        )
        for some in (windows[i : i + _PROJECTED] for i in range(0, len(windows), _PROJECTED))
    ]
    if plan is None:
        return made[0]
    joined = Conditions.stack(made)
    if len(text) == 1:  # the same words in all of them
        joined = replace(joined, text=joined.text[:1].clone())
    return joined.each(lambda tensor: tensor[None])


def window_velocity(
    network: Callable[[Tensor, Tensor, Conditions], Tensor],
    x: Tensor,
    t: Tensor,
    branches: Sequence[Conditions],
    plan: Plan,
    *,
    together: int,
) -> Tensor:
    """Velocity of the whole latent ``x``, from its windows.

    Args:
        network: makes the velocity of a batch of windows.
        x: latents (B, N, C), all takes of the first branch of guidance, then of the next.
        t: times (B,).
        branches: from ``project``; what a few windows need is put together when they run.
        plan: where the windows lie.
        together: latents of one window's length to run in one batch, at least one a row of ``x``.
    """
    parts = plan.cut(x)
    batch, count = parts.shape[:2]
    step = max(1, together // batch)
    velocities: list[Tensor] = []
    for first in range(0, count, step):
        some = parts[:, first : first + step]
        size = some.shape[1]

        def rows(tensor: Tensor, first: int = first, size: int = size) -> Tensor:
            own = tensor if tensor.shape[1] == 1 else tensor[:, first : first + size]
            return own.expand(batch // len(branches), size, *own.shape[2:]).flatten(0, 1)

        v = network(
            some.flatten(0, 1),
            t.repeat_interleave(size),
            Conditions.stack([branch.each(rows) for branch in branches]),
        )
        velocities.append(torch.unflatten(v, 0, (batch, size)))
    return plan.join(torch.cat(velocities, dim=1), x.shape[1])
