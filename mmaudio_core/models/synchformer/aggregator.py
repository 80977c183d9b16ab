"""Synchformer's pooling: one transformer layer read out at a class token of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attention import SelfAttention
from ..ops import Operations, bare, cast


class Aggregator(nn.Module):
    """A pre-norm encoder layer over [class token; tokens], of which the class token is returned.

    Attribute names are the published keys, those of ``torch.nn.TransformerEncoderLayer``.
    """

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
        self.cls_token = bare(1, 1, width, device=device, dtype=dtype)
        self.self_attn = SelfAttention(
            width, heads, operations=operations, device=device, dtype=dtype
        )
        self.linear1 = operations.Linear(width, 4 * width, device=device, dtype=dtype)
        self.linear2 = operations.Linear(4 * width, width, device=device, dtype=dtype)
        self.norm1 = operations.LayerNorm(width, eps=1e-6, device=device, dtype=dtype)
        self.norm2 = operations.LayerNorm(width, eps=1e-6, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, width) -> (B, width)."""
        first = cast(self.cls_token, x).expand(x.shape[0], -1, -1)
        # nothing but the class token is wanted, so nothing else asks or passes the MLP
        attended = self.self_attn(self.norm1(torch.cat((first, x), dim=1)), queries=1)
        out = first + attended
        return (out + self.linear2(F.gelu(self.linear1(self.norm2(out))))).squeeze(1)
