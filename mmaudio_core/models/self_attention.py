"""Multi-head self-attention with one joint projection, as CLIP and Synchformer store it."""

from __future__ import annotations

from torch import Tensor, nn

from .ops import LayerFactory

# Published checkpoints store the joint projection as parameters of torch's MultiheadAttention.
# Here it is a Linear, which ComfyUI can stream; the checkpoint loader renames these key suffixes.
KEY_SUFFIXES = {
    ".in_proj_weight": ".in_proj.weight",
    ".in_proj_bias": ".in_proj.bias",
}


class SelfAttention(nn.Module):
    """``in_proj`` yields q|k|v, each with its heads side by side."""

    def __init__(self, make: LayerFactory, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = make.attention
        self.in_proj = make.linear(width, 3 * width)
        self.out_proj = make.linear(width, width)

    def forward(self, x: Tensor, *, causal: bool = False, queries: int | None = None) -> Tensor:
        """(B, L, width) -> (B, L, width).

        Args:
            x: the tokens.
            causal: a token attends only to itself and earlier tokens.
            queries: only the first ``queries`` tokens attend (to all tokens), and the result is
                (B, queries, width).
        """
        q, k, v = self.in_proj(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out = self.attention(q[:, :, :queries], k, v, causal=causal)
        return self.out_proj(out.transpose(1, 2).flatten(2))
