"""Euler integration of the flow with classifier-free guidance."""

from __future__ import annotations

import torch
from torch import Tensor

from ..models.flow import FlowNetwork
from ..progress import Progress, no_progress, tick_on_forward
from .guidance import GuidanceBranch, predict_velocity
from .windows import WindowPlan

SAMPLING_STAGE = "sampling"
MAX_BATCHED_WINDOWS = 8  # windows, of all takes and branches, in one batch


def denoise(
    network: FlowNetwork,
    noise: Tensor,
    conditions: GuidanceBranch,
    negative: GuidanceBranch | None,
    *,
    steps: int,
    cfg: float,
    dtype: torch.dtype,
    plan: WindowPlan | None = None,
    progress: Progress = no_progress,
) -> Tensor:
    """Integrate from noise to data on ``linspace(0, 1, steps + 1)``.

    Args:
        noise: (B, N, C), float32, on the network's device.
        conditions: from ``project``; of one set for all takes, or of one a take.
        negative: the branch guidance moves away from; unused where cfg is below 1.
        steps: how many steps.
        cfg: guidance strength, ``v = cfg * v_cond + (1 - cfg) * v_negative``; below 1, none.
        dtype: of the network's arithmetic; the latent itself stays float32.
        plan: windows, where the conditions are those of windows.
        progress: called with ("sampling", step, steps) before every block.

    Returns:
        (B, N, C) float32, on the flow's scale.
    """
    branches = [conditions]
    if cfg >= 1 and negative is not None:
        branches.append(negative)
    times = torch.linspace(0, 1, steps + 1)
    lengths = [float(length) for length in times.diff()]
    times = times.to(noise.device)
    step = 0

    def tick() -> None:
        progress(SAMPLING_STAGE, step, steps)

    x = noise
    with tick_on_forward(network, tick):
        for step, length in enumerate(lengths):
            both = x.to(dtype).repeat(len(branches), 1, 1)
            t = times[step : step + 1]
            v = predict_velocity(
                network, both, t, branches, plan, together=MAX_BATCHED_WINDOWS
            ).float()
            if len(branches) > 1:
                v_cond, v_negative = v.chunk(2)
                v = cfg * v_cond + (1 - cfg) * v_negative
            x = x + length * v
    progress(SAMPLING_STAGE, steps, steps)
    return x
