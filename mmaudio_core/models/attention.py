"""The attention function that networks are given, so that a host can substitute a faster one."""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor


class Attention(Protocol):
    """Softmax attention with scale ``1 / sqrt(D)``.

    Queries (B, heads, Lq, D), keys and values (B, heads, Lk, D) to (B, heads, Lq, D). If
    ``causal``, a query attends only to keys at its own position and before.
    """

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor: ...


def sdpa(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """The default ``Attention``: torch's ``scaled_dot_product_attention``."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
