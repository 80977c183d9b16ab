"""CLIP's transformer and its image tower; attribute names are the published (open_clip) keys."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..ops import LayerFactory, cast_to
from ..self_attention import SelfAttention


def quick_gelu(x: Tensor) -> Tensor:
    """``x * sigmoid(1.702 x)``, the approximation of GELU that CLIP was trained with."""
    return (1.702 * x).sigmoid_().mul_(x)


class CLIPMLP(nn.Module):
    """Two layers with a hidden width of 4 * width."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.c_fc = make.linear(width, 4 * width)
        self.c_proj = make.linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(quick_gelu(self.c_fc(x)))


class CLIPBlock(nn.Module):
    """Pre-norm residual block: attention, then MLP."""

    def __init__(self, make: LayerFactory, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = make.layer_norm(width)
        self.attn = SelfAttention(make, width, heads)
        self.ln_2 = make.layer_norm(width)
        self.mlp = CLIPMLP(make, width)

    def forward(self, x: Tensor, *, causal: bool) -> Tensor:
        x = x + self.attn(self.ln_1(x), causal=causal)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """A stack of blocks on (B, L, width)."""

    def __init__(self, make: LayerFactory, width: int, *, layers: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(CLIPBlock(make, width, heads) for _ in range(layers))

    def forward(self, x: Tensor, *, causal: bool = False) -> Tensor:
        for block in self.resblocks:
            x = block(x, causal=causal)
        return x


class ImageTower(nn.Module):
    """Vision transformer (Dosovitskiy et al., arXiv 2010.11929), read out at its class token."""

    def __init__(
        self,
        make: LayerFactory,
        *,
        width: int,
        layers: int,
        heads: int,
        patch_size: int,
        patches: int,
        embed_dim: int,
    ) -> None:
        super().__init__()
        self.class_embedding = make.parameter(width)
        self.positional_embedding = make.parameter(1 + patches, width)
        self.proj = make.parameter(width, embed_dim)
        self.conv1 = make.operations.Conv2d(
            3,
            width,
            patch_size,
            stride=patch_size,
            bias=False,
            device=make.device,
            dtype=make.dtype,
        )
        self.ln_pre = make.layer_norm(width)
        self.transformer = Transformer(make, width, layers=layers, heads=heads)
        self.ln_post = make.layer_norm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Normalized images (B, 3, H, W) -> (B, embed_dim)."""
        patches = self.conv1(x).flatten(2).transpose(1, 2)
        class_token = cast_to(self.class_embedding, patches).expand(patches.shape[0], 1, -1)
        x = torch.cat((class_token, patches), dim=1)
        x = x + cast_to(self.positional_embedding, patches)
        x = self.transformer(self.ln_pre(x))
        return self.ln_post(x[:, 0]) @ cast_to(self.proj, x)
