"""CLIP's transformer and its image tower; attribute names are the published (open_clip) keys."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..attention import SelfAttention
from ..ops import Operations, bare, cast


def quick_gelu(x: Tensor) -> Tensor:
    """``x * sigmoid(1.702 x)``, the GELU approximation CLIP was trained with."""
    return (1.702 * x).sigmoid_().mul_(x)


class CLIPMLP(nn.Module):
    """Two layers, four times as wide between them."""

    def __init__(
        self,
        width: int,
        *,
        operations: Operations,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.c_fc = operations.Linear(width, 4 * width, device=device, dtype=dtype)
        self.c_proj = operations.Linear(4 * width, width, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(quick_gelu(self.c_fc(x)))


class CLIPBlock(nn.Module):
    """Pre-norm residual block: attention, then MLP."""

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
        self.ln_1 = operations.LayerNorm(width, device=device, dtype=dtype)
        self.attn = SelfAttention(width, heads, operations=operations, device=device, dtype=dtype)
        self.ln_2 = operations.LayerNorm(width, device=device, dtype=dtype)
        self.mlp = CLIPMLP(width, operations=operations, device=device, dtype=dtype)

    def forward(self, x: Tensor, *, causal: bool) -> Tensor:
        x = x + self.attn(self.ln_1(x), causal=causal)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """A stack of blocks on (B, L, width)."""

    def __init__(
        self,
        width: int,
        layers: int,
        heads: int,
        *,
        operations: Operations,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(
            CLIPBlock(width, heads, operations=operations, device=device, dtype=dtype)
            for _ in range(layers)
        )

    def forward(self, x: Tensor, *, causal: bool = False) -> Tensor:
        for block in self.resblocks:
            x = block(x, causal=causal)
        return x


class ImageTower(nn.Module):
    """Vision transformer (Dosovitskiy et al., arXiv 2010.11929) read out at its class token."""

    def __init__(
        self,
        *,
        width: int,
        layers: int,
        heads: int,
        patch_size: int,
        patches: int,
        embed_dim: int,
        operations: Operations,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.class_embedding = bare(width, device=device, dtype=dtype)
        self.positional_embedding = bare(1 + patches, width, device=device, dtype=dtype)
        self.proj = bare(width, embed_dim, device=device, dtype=dtype)
        self.conv1 = operations.Conv2d(
            3, width, patch_size, stride=patch_size, bias=False, device=device, dtype=dtype
        )
        self.ln_pre = operations.LayerNorm(width, device=device, dtype=dtype)
        self.transformer = Transformer(
            width, layers, heads, operations=operations, device=device, dtype=dtype
        )
        self.ln_post = operations.LayerNorm(width, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) -> (B, embed_dim)."""
        patches = self.conv1(x).flatten(2).transpose(1, 2)
        first = cast(self.class_embedding, patches).expand(patches.shape[0], 1, -1)
        x = torch.cat((first, patches), dim=1) + cast(self.positional_embedding, patches)
        x = self.transformer(self.ln_pre(x))
        return self.ln_post(x[:, 0]) @ cast(self.proj, x)
