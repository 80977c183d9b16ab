"""Synchformer's judge: how far apart the sound and the picture of a window are.

Attribute names are the published keys.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..ops import LayerFactory, cast_to
from .separate_attention import SeparateAttention

HEADS = 8
"""Attention heads, which no tensor's shape tells."""
EXTRA_TOKENS = 2
"""The one that the offset is read from, and the one between picture and sound."""


class OffsetAttention(SeparateAttention):
    """Self-attention with a projection at its end."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__(make, width, HEADS)
        self.proj = make.linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(super().forward(x))


class OffsetBlock(nn.Module):
    """Pre-norm residual block: attention, then MLP."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.ln1 = make.layer_norm(width)
        self.attn = OffsetAttention(make, width)
        self.ln2 = make.layer_norm(width)
        self.mlp = nn.Sequential(
            make.linear(width, 4 * width), nn.GELU(), make.linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class PositionEmbedding(nn.Module):
    """Adds a learned position to each token."""

    def __init__(self, make: LayerFactory, width: int, tokens: int) -> None:
        super().__init__()
        self.pos_emb = make.parameter(1, tokens, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast_to(self.pos_emb, x)


class OffsetTransformer(nn.Module):
    """A classifier over [offset token; picture; separator; sound]."""

    def __init__(
        self, make: LayerFactory, *, width: int, layers: int, tokens: int, offsets: int
    ) -> None:
        super().__init__()
        self.OFF_tok = make.parameter(1, 1, width)
        self.MOD_tok = make.parameter(1, 1, width)
        self.vis_in_lnorm = make.layer_norm(width)
        self.aud_in_lnorm = make.layer_norm(width)
        self.pos_emb_cfg = PositionEmbedding(make, width, tokens)
        self.blocks = nn.ModuleList(OffsetBlock(make, width) for _ in range(layers))
        self.ln_f = make.layer_norm(width)
        self.off_head = make.linear(width, offsets)

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Tokens (B, Lv, width) and (B, La, width) -> logits (B, offsets)."""
        offset, separator = (
            cast_to(token, visual).expand(len(visual), -1, -1)
            for token in (self.OFF_tok, self.MOD_tok)
        )
        visual, audio = self.vis_in_lnorm(visual), self.aud_in_lnorm(audio)
        x = self.pos_emb_cfg(torch.cat((offset, visual, separator, audio), dim=1))
        for block in self.blocks:
            x = block(x)
        return self.off_head(self.ln_f(x[:, 0]))
