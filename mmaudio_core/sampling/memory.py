"""Memory that the flow network needs while it runs."""

from __future__ import annotations

import torch

from ..models.flow import FlowParams

MAX_BATCHED_WINDOWS = 8  # windows per forward pass, those of all takes and branches counted
_LIVE_TENSORS = 40  # of (rows, tokens, width), at the peak of a block; an estimate


def activation_bytes(params: FlowParams, rows: int, tokens: float, dtype: torch.dtype) -> int:
    """Estimated bytes of activations in one forward pass.

    Args:
        params: architecture of the network.
        rows: batch size.
        tokens: latents, CLIP frames and text tokens per row.
        dtype: compute dtype.
    """
    return int(rows * tokens * params.width * _LIVE_TENSORS * dtype.itemsize)
