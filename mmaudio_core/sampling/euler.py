"""Euler integration of the flow with classifier-free guidance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..models.flow import FlowNetwork
from ..progress import Progress, silent, watched
from .guidance import Branch, velocity
from .windows import Plan

STAGE = "sampling"
TOGETHER = 8  # windows, of all takes and branches, in one batch


def draw_noise(seeds: Sequence[int], latents: int, width: int) -> Tensor:
    """Standard normal (len(seeds), latents, width), float32 on the CPU, a generator a seed.

    Take k of a batch therefore starts where a single run with its seed starts.
    """
    takes = [
        torch.randn(latents, width, generator=torch.Generator("cpu").manual_seed(seed))
        for seed in seeds
    ]
    return torch.stack(takes)


def euler(
    network: FlowNetwork,
    noise: Tensor,
    conditions: Branch,
    negative: Branch | None,
    *,
    steps: int,
    cfg: float,
    dtype: torch.dtype,
    plan: Plan | None = None,
    progress: Progress = silent,
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
        progress(STAGE, step, steps)

    x = noise
    with watched(network, tick):
        for step, length in enumerate(lengths):
            both = x.to(dtype).repeat(len(branches), 1, 1)
            t = times[step : step + 1]
            v = velocity(network, both, t, branches, plan, together=TOGETHER).float()
            if len(branches) > 1:
                v_cond, v_negative = v.chunk(2)
                v = cfg * v_cond + (1 - cfg) * v_negative
            x = x + length * v
    progress(STAGE, steps, steps)
    return x
