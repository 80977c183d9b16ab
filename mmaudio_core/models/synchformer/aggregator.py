"""Synchformer's pooling: one transformer layer, read out at its own class token."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import LayerFactory, cast_to
from ..self_attention import SelfAttention

_NORM_EPS = 1e-6


class Aggregator(nn.Module):
    """A pre-norm encoder layer over [class token; tokens] that returns the class token.

    Attribute names are the published keys, those of ``torch.nn.TransformerEncoderLayer``.
    """

    def __init__(self, make: LayerFactory, width: int, heads: int) -> None:
        super().__init__()
        self.cls_token = make.parameter(1, 1, width)
        self.self_attn = SelfAttention(make, width, heads)
        self.linear1 = make.linear(width, 4 * width)
        self.linear2 = make.linear(4 * width, width)
        self.norm1 = make.layer_norm(width, eps=_NORM_EPS)
        self.norm2 = make.layer_norm(width, eps=_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, width) -> (B, width)."""
        class_token = cast_to(self.cls_token, x).expand(x.shape[0], -1, -1)
        # only the class token is used, so only it attends and passes through the MLP
        tokens = torch.cat((class_token, x), dim=1)
        out = class_token + self.self_attn(self.norm1(tokens), queries=1)
        return (out + self.linear2(F.gelu(self.linear1(self.norm2(out))))).squeeze(1)
