"""Synchformer's visual branch: MotionFormer with divided space-time attention.

Patrick et al., arXiv 2106.05392; Bertasius et al. (TimeSformer), arXiv 2102.05095. A segment has
``T`` times with ``P`` places each; its tokens are [class; places of time 0; places of time 1; ...].
Attribute names are the published keys.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import LayerFactory, cast_to
from .aggregator import Aggregator

HEAD_WIDTH = 64
_NORM_EPS = 1e-6


class DividedAttention(nn.Module):
    """Attention within groups of tokens, each of which also sees the class token.

    The class token itself attends to every token.
    """

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.attention = make.attention
        self.qkv = make.linear(width, 3 * width)
        self.proj = make.linear(width, width)

    def forward(self, x: Tensor, times: int, *, over_time: bool) -> Tensor:
        """(B, 1 + T*P, width) -> the same shape.

        Args:
            x: the tokens.
            times: T.
            over_time: a group is one place at all times; otherwise all places at one time.
        """
        batch = x.shape[0]
        # each (B, heads, 1 + T*P, 64), a view of one tensor
        q, k, v = self.qkv(x).unflatten(-1, (3, -1, HEAD_WIDTH)).permute(2, 0, 3, 1, 4)
        class_out = self.attention(q[:, :, :1], k, v)

        order = (0, 3, 1, 2, 4) if over_time else (0, 2, 1, 3, 4)

        def grouped(tokens: Tensor) -> Tensor:  # (B, groups, heads, group size, 64)
            return torch.unflatten(tokens[:, :, 1:], 2, (times, -1)).permute(order)

        def with_class(tokens: Tensor) -> Tensor:  # (B * groups, heads, 1 + group size, 64)
            groups = grouped(tokens)
            class_token = tokens[:, None, :, :1].expand(-1, groups.shape[1], -1, -1, -1)
            return torch.cat((class_token, groups), dim=3).flatten(0, 1)

        out = self.attention(grouped(q).flatten(0, 1), with_class(k), with_class(v))
        out = torch.unflatten(out, 0, (batch, -1))
        out = out.permute((0, 3, 1, 2, 4) if over_time else (0, 1, 3, 2, 4))  # (B, T, P, heads, 64)
        out = out.flatten(3).flatten(1, 2)
        return self.proj(torch.cat((class_out.transpose(1, 2).flatten(2), out), dim=1))


class MotionFormerMLP(nn.Module):
    """Two layers with an exact GELU and a hidden width of 4 * width."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.fc1 = make.linear(width, 4 * width)
        self.fc2 = make.linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class MotionFormerBlock(nn.Module):
    """Pre-norm residual block: attention over time, over space, then MLP."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.norm1 = make.layer_norm(width, eps=_NORM_EPS)
        self.attn = DividedAttention(make, width)
        self.timeattn = DividedAttention(make, width)
        self.norm2 = make.layer_norm(width, eps=_NORM_EPS)
        self.mlp = MotionFormerMLP(make, width)
        self.norm3 = make.layer_norm(width, eps=_NORM_EPS)

    def forward(self, x: Tensor, times: int) -> Tensor:
        x = x + self.timeattn(self.norm3(x), times, over_time=True)
        x = x + self.attn(self.norm1(x), times, over_time=False)
        return x + self.mlp(self.norm2(x))


class TubeEmbedding(nn.Module):
    """Embeds tubes of ``tube`` frames by ``patch`` by ``patch`` pixels."""

    def __init__(self, make: LayerFactory, width: int, *, tube: int, patch: int) -> None:
        super().__init__()
        size = (tube, patch, patch)
        self.proj = make.operations.Conv3d(
            3, width, size, stride=size, device=make.device, dtype=make.dtype
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(B, frames, 3, H, W) -> (B, T, P, width)."""
        return self.proj(frames.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)


class MotionFormer(nn.Module):
    """Segments of frames to one feature per time."""

    def __init__(
        self,
        make: LayerFactory,
        *,
        width: int,
        layers: int,
        times: int,
        places: int,
        tube: int,
        patch: int,
    ) -> None:
        super().__init__()
        self.cls_token = make.parameter(1, 1, width)
        self.pos_embed = make.parameter(1, 1 + places, width)
        self.temp_embed = make.parameter(1, times, width)
        self.patch_embed_3d = TubeEmbedding(make, width, tube=tube, patch=patch)
        self.blocks = nn.ModuleList(MotionFormerBlock(make, width) for _ in range(layers))
        self.norm = make.layer_norm(width, eps=_NORM_EPS)
        self.spatial_attn_agg = Aggregator(make, width, width // HEAD_WIDTH)

    def forward(self, segments: Tensor) -> Tensor:
        """Normalized segments (B, frames, 3, H, W) -> (B, T, width)."""
        x = self.patch_embed_3d(segments)
        batch, times = x.shape[:2]
        place, time = cast_to(self.pos_embed, x), cast_to(self.temp_embed, x)
        x = x + (place[:, None, 1:] + time[:, :, None])
        class_token = (cast_to(self.cls_token, x) + place[:, :1]).expand(batch, -1, -1)
        x = torch.cat((class_token, x.flatten(1, 2)), dim=1)
        for block in self.blocks:
            x = block(x, times)
        x = self.norm(x[:, 1:]).unflatten(1, (times, -1)).flatten(0, 1)
        return self.spatial_attn_agg(x).unflatten(0, (batch, times))
