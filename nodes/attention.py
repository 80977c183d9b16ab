"""The attention that networks run with inside ComfyUI: its own choice of kernel."""

from __future__ import annotations

from typing import Any

import comfy.ldm.modules.attention as comfy_attention
from torch import Tensor

from ..mmaudio_core.models.attention import sdpa

_OVERRIDE = "optimized_attention_override"


def optimized_attention(
    q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any] | None = None
) -> Tensor:
    """Softmax attention by ComfyUI's kernel: (B, heads, L, D) -> (B, L, heads * D).

    On a CPU, ComfyUI's choice is the sub-quadratic one, for memory that windows do not need here;
    torch's own is faster and is taken unless the options override attention.
    """
    options = options or {}
    if q.device.type == "cpu" and _OVERRIDE not in options:
        return sdpa(q, k, v).transpose(1, 2).flatten(2)
    return comfy_attention.optimized_attention(
        q, k, v, q.shape[1], skip_reshape=True, transformer_options=options
    )


def encoder_attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """The same as the core's ``Attention`` for CLIP and Synchformer: (B, heads, L, D) out.

    The text tower attends causally over 77 tokens, which ComfyUI's kernels would need a mask for.
    """
    if causal or q.device.type == "cpu":
        return sdpa(q, k, v, causal=causal)
    return comfy_attention.optimized_attention(
        q, k, v, q.shape[1], skip_reshape=True, skip_output_reshape=True
    )
