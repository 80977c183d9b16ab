"""Initial noise of the sampler."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def get_noise(seeds: Sequence[int], latents: int, width: int) -> Tensor:
    """Standard normal noise (len(seeds), latents, width), float32 on the CPU.

    Each take has a generator of its own, so that it starts where a single run of its seed starts.
    """
    takes = [
        torch.randn(latents, width, generator=torch.Generator("cpu").manual_seed(seed))
        for seed in seeds
    ]
    return torch.stack(takes)
