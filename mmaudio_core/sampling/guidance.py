"""Classifier-free guidance: conditions per branch, and the velocity of all branches at once.

A branch is one set of conditions, such as the prompt's or the negative prompt's. With a window plan
it holds conditions for each window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..config import SequenceLengths
from ..errors import MMAudioError, Problem
from ..models.flow import FlowNetwork, FlowParams
from ..models.flow.conditions import Conditions
from ..models.ops import copy_to
from .memory import MAX_BATCHED_WINDOWS
from .windows import Window, WindowPlan

_PROJECTION_BATCH = 8  # windows
_SINGLE_PASS = (Window(latent_start=0, clip_start=0, sync_start=0),)

# Conditions of each window; a single element if all windows share them.
GuidanceBranch = Sequence[Conditions]


class VelocityFunction(Protocol):
    """``FlowNetwork.forward``."""

    def __call__(
        self, x: Tensor, t: Tensor, conditions: Conditions, set_index: Tensor | None = None
    ) -> Tensor: ...


def project_conditions(
    network: FlowNetwork,
    plan: WindowPlan | None,
    clip: Tensor | None,
    sync: Tensor | None,
    text: Tensor,
    lengths: SequenceLengths,
) -> GuidanceBranch:
    """Project the features of one branch, which stay the same in all steps.

    Args:
        network: the flow network.
        plan: window plan; None for a single pass.
        clip: (1, V, clip_dim); (1, 1, clip_dim) for a still image; None without a picture.
        sync: (1, S, sync_dim); None without a video.
        text: (prompts, 77, text_dim).
        lengths: sequence lengths of the whole job.

    Raises:
        MMAudioError: the features are of another width than the network's.
    """
    _check_widths(network.params, clip, sync, text)
    windows = _SINGLE_PASS if plan is None else plan.windows
    window_lengths = lengths if plan is None else plan.lengths
    constant = sync is None and (clip is None or clip.shape[1] == 1) and len(text) == 1
    if constant:
        windows = windows[:1]
    repeating = sync is None
    clip = network.empty_clip(1, lengths.clip).to(text) if clip is None else clip
    sync = network.empty_sync(1, lengths.sync).to(text) if sync is None else sync
    clip = clip.expand(-1, lengths.clip, -1) if clip.shape[1] == 1 else clip
    branch: list[Conditions] = []
    for first in range(0, len(windows), _PROJECTION_BATCH):
        batch = windows[first : first + _PROJECTION_BATCH]
        conditions = network.conditions(
            torch.cat([clip[:, w.clip_start : w.clip_start + window_lengths.clip] for w in batch]),
            torch.cat([sync[:, w.sync_start : w.sync_start + window_lengths.sync] for w in batch]),
            torch.stack([text[w.prompt] for w in batch]),
            window_lengths.latent,
            repeating=repeating,
        )
        branch += conditions.split()
    return branch


def predict_velocity(
    network: VelocityFunction,
    x: Tensor,
    t: Tensor,
    branches: Sequence[GuidanceBranch],
    plan: WindowPlan | None,
    *,
    max_batch: int = MAX_BATCHED_WINDOWS,
) -> Tensor:
    """Velocity of whole latents, for every branch and take: same shape as ``x``.

    Args:
        network: computes the velocity of a batch.
        x: latents (branches * takes, N, C): all takes of the first branch, then of the next.
        t: flow time (1,); in training (branches * takes,), one for each row.
        branches: from ``project_conditions``.
        plan: window plan; None for a single pass.
        max_batch: rows per forward pass with windows; a window of every row of ``x`` always runs
            in one pass.
    """
    takes = len(x) // len(branches)
    if len(t) > 1:
        rows = (
            predict_velocity(network, x[i : i + 1], t[i : i + 1], [branches[i // takes]], plan)
            for i in range(len(x))
        )
        return torch.cat(list(rows))
    if plan is None:
        return network(x, t, *_batch_conditions(branches, takes, range(1), x.device))
    parts = plan.split(x)
    count = parts.shape[1]
    step = max(1, max_batch // len(x))
    velocities: list[Tensor] = []
    for first in range(0, count, step):
        windows = range(first, min(first + step, count))
        batch = parts[:, first : first + step]
        conditions = _batch_conditions(branches, takes, windows, x.device)
        v = network(batch.flatten(0, 1), t, *conditions)
        velocities.append(torch.unflatten(v, 0, batch.shape[:2]))
    return plan.join(torch.cat(velocities, dim=1), x.shape[1])


def _batch_conditions(
    branches: Sequence[GuidanceBranch], takes: int, windows: range, device: torch.device
) -> tuple[Conditions, Tensor]:
    """Stacked conditions of some windows, and the index of each row's set in them.

    Rows are ordered by branch, then take, then window.
    """
    stacked: list[Conditions] = []
    which: list[int] = []
    offset = 0  # sets of the branches before
    for branch in branches:
        per_window = len(branch) > 1
        conditions = [branch[window] for window in windows] if per_window else list(branch)
        sets = len(conditions[0])  # per window: one for all takes, or one per take
        for take in range(takes):
            for window in range(len(windows)):
                index = window * sets if per_window else 0
                which.append(offset + index + (take if sets > 1 else 0))
        stacked += conditions
        offset += len(conditions) * sets
    return Conditions.stack(stacked), copy_to(torch.tensor(which), device)


def _check_widths(
    params: FlowParams, clip: Tensor | None, sync: Tensor | None, text: Tensor
) -> None:
    for name, features, width in (
        ("CLIP", clip, params.clip_dim),
        ("sync", sync, params.sync_dim),
        ("text", text, params.text_dim),
    ):
        if features is not None and features.shape[-1] != width:
            raise MMAudioError(
                f"got {name} features of width {features.shape[-1]}, expected {width}",
                Problem.FEATURE_WIDTH,
            )
