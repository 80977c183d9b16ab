"""The noise that sampling starts from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def get_noise(seeds: Sequence[int], latents: int, width: int) -> Tensor:
    """Standard normal (len(seeds), latents, width), float32 on the CPU, a generator a seed.

    Take k of a batch therefore starts where a single run with its seed starts.
    """
    takes = [
        torch.randn(latents, width, generator=torch.Generator("cpu").manual_seed(seed))
        for seed in seeds
    ]
    return torch.stack(takes)
