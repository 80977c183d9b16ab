"""Euler integration of the flow with classifier-free guidance."""

from __future__ import annotations

import torch
from torch import Tensor

from ..models.flow import FlowNetwork
from ..progress import Progress, no_progress, tick_on_forward
from .guidance import GuidanceBranch, predict_velocity
from .windows import WindowPlan

SAMPLING_STAGE = "sampling"


def integrate_euler(
    network: FlowNetwork,
    noise: Tensor,
    positive: GuidanceBranch,
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
        network: the flow network.
        noise: (B, N, C), float32, on the network's device.
        positive: conditions from ``project_conditions``; one set for all takes, or one per take.
        negative: conditions that guidance moves away from; unused if ``cfg`` is below 1.
        steps: number of steps.
        cfg: guidance strength, ``v = cfg * v_positive + (1 - cfg) * v_negative``; below 1, no
            guidance.
        dtype: compute dtype of the network; the latent itself stays float32.
        plan: window plan that the conditions were projected for; None for a single pass.
        progress: called with ("sampling", step, steps) before every block.

    Returns:
        (B, N, C) float32, normalized latents.
    """
    branches = [positive]
    if cfg >= 1 and negative is not None:
        branches.append(negative)
    times = torch.linspace(0, 1, steps + 1)
    step_sizes = [float(size) for size in times.diff()]
    times = times.to(noise.device)
    step = 0

    def tick() -> None:
        progress(SAMPLING_STAGE, step, steps)

    x = noise
    with tick_on_forward(network, tick):
        for step, size in enumerate(step_sizes):
            rows = x.to(dtype).repeat(len(branches), 1, 1)
            v = predict_velocity(network, rows, times[step : step + 1], branches, plan).float()
            if len(branches) > 1:
                v_positive, v_negative = v.chunk(2)
                v = cfg * v_positive + (1 - cfg) * v_negative
            x = x + size * v
    progress(SAMPLING_STAGE, steps, steps)
    return x
