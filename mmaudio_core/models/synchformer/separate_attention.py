"""Multi-head self-attention with queries, keys and values stored apart."""

from __future__ import annotations

from torch import Tensor, nn

from ..ops import LayerFactory


class SeparateAttention(nn.Module):
    """``query``, ``key`` and ``value``, each with its heads side by side; nothing follows."""

    def __init__(self, make: LayerFactory, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = make.attention
        self.query = make.linear(width, width)
        self.key = make.linear(width, width)
        self.value = make.linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, width) -> (B, L, width)."""
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        return self.attention(q, k, v).transpose(1, 2).flatten(2)
