"""The attention that networks run with inside ComfyUI: its own choice of kernel.

On a CPU, ComfyUI's choice is the sub-quadratic one, for memory that windows do not need here;
torch's own is faster and is taken unless an override is set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.ldm.modules.attention as comfy_attention
import torch.nn.functional as F
from comfy.ldm.modules.diffusionmodules import model as comfy_vae
from torch import Tensor

from ..mmaudio_core.models.attention import Attention, sdpa

_OVERRIDE = "optimized_attention_override"


def optimized_attention(
    q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any] | None = None
) -> Tensor:
    """Softmax attention by ComfyUI's kernel: (B, heads, L, D) -> (B, L, heads * D)."""
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


def vae_attention() -> Attention:
    """The core's ``Attention`` for the VAE, which has one head as wide as the layer.

    The kernels of ``optimized_attention`` take narrow heads, and some round to 8 bits, so ComfyUI's
    own VAEs attend by a function of their own: torch's, xformers', or on AMD one in slices.
    """
    kernel = comfy_vae.vae_attention()

    def attend(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
        assert not causal
        return sdpa(q, k, v) if q.device.type == "cpu" else by_vae_kernel(kernel, q, k, v)

    return attend


def by_vae_kernel(kernel: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention (B, 1, L, D) by one of ComfyUI's VAE kernels, which take and return (B, D, L)."""
    length, keys = q.shape[2], k.shape[2]
    assert length <= keys
    # the one in slices expects as many queries as keys, which also come from neighboring chunks
    padded = F.pad(q, (0, 0, 0, keys - length))
    channels_first = [x.squeeze(1).transpose(1, 2) for x in (padded, k, v)]
    return kernel(*channels_first)[..., :length].transpose(1, 2).unsqueeze(1)
