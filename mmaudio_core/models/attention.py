"""Multi-head self-attention with one joint projection, as CLIP and Synchformer store it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .ops import Operations

# Published checkpoints hold the joint projection as bare parameters of torch's own attention
# module. Here it is a Linear, which ComfyUI can stream; the checkpoint loader renames the ends of
# the keys.
KEY_SUFFIXES = {
    ".in_proj_weight": ".in_proj.weight",
    ".in_proj_bias": ".in_proj.bias",
}


class SelfAttention(nn.Module):
    """Softmax attention; ``in_proj`` makes q|k|v, each laid out head-major."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        operations: Operations,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj = operations.Linear(width, 3 * width, device=device, dtype=dtype)
        self.out_proj = operations.Linear(width, width, device=device, dtype=dtype)

    def forward(self, x: Tensor, *, causal: bool = False, queries: int | None = None) -> Tensor:
        """(B, L, width) -> (B, L, width).

        Args:
            x: the tokens.
            causal: a token attends to itself and those before it only.
            queries: only the first so many tokens attend (to all); (B, queries, width) comes back.
        """
        q, k, v = self.in_proj(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q[:, :, :queries], k, v, is_causal=causal)
        return self.out_proj(out.transpose(1, 2).flatten(2))
