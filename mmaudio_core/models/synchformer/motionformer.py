"""Synchformer's visual branch: MotionFormer with divided space-time attention.

Patrick et al., arXiv 2106.05392; Bertasius et al. (TimeSformer), arXiv 2102.05095. ``T`` times of
``P`` places make a segment; tokens are [class; time 0's places; time 1's places; ...]. Attribute
names are the published keys.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import Operations, bare, cast
from .aggregator import Aggregator

HEAD_WIDTH = 64
NORM_EPS = 1e-6


class DividedAttention(nn.Module):
    """Attention within groups of tokens, all of which also see the class token.

    The class token itself attends to every token.
    """

    def __init__(
        self,
        width: int,
        *,
        operations: Operations,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.qkv = operations.Linear(width, 3 * width, device=device, dtype=dtype)
        self.proj = operations.Linear(width, width, device=device, dtype=dtype)

    def forward(self, x: Tensor, times: int, *, over_time: bool) -> Tensor:
        """(B, 1 + T*P, width) -> the same shape.

        Args:
            x: the tokens.
            times: T.
            over_time: a group is one place at all times; otherwise one time at all places.
        """
        batch = x.shape[0]
        # (3, B, heads, 1 + T*P, 64), views of one tensor
        q, k, v = self.qkv(x).unflatten(-1, (3, -1, HEAD_WIDTH)).permute(2, 0, 3, 1, 4)
        first = F.scaled_dot_product_attention(q[:, :, :1], k, v)

        order = (0, 3, 1, 2, 4) if over_time else (0, 2, 1, 3, 4)

        def grouped(tokens: Tensor) -> Tensor:  # (B, groups, heads, group size, 64)
            return torch.unflatten(tokens[:, :, 1:], 2, (times, -1)).permute(order)

        def with_class(tokens: Tensor) -> Tensor:  # (B * groups, heads, 1 + group size, 64)
            rest = grouped(tokens)
            shared = tokens[:, None, :, :1].expand(-1, rest.shape[1], -1, -1, -1)
            return torch.cat((shared, rest), dim=3).flatten(0, 1)

        out = F.scaled_dot_product_attention(grouped(q).flatten(0, 1), with_class(k), with_class(v))
        out = torch.unflatten(out, 0, (batch, -1))
        out = out.permute((0, 3, 1, 2, 4) if over_time else (0, 1, 3, 2, 4))  # (B, T, P, heads, 64)
        rest = out.flatten(3).flatten(1, 2)
        return self.proj(torch.cat((first.transpose(1, 2).flatten(2), rest), dim=1))


class MotionFormerMLP(nn.Module):
    """Two layers with an exact GELU, four times as wide between them."""

    def __init__(
        self,
        width: int,
        *,
        operations: Operations,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.fc1 = operations.Linear(width, 4 * width, device=device, dtype=dtype)
        self.fc2 = operations.Linear(4 * width, width, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class MotionFormerBlock(nn.Module):
    """Pre-norm residual block: attention over time, over space, then MLP."""

    def __init__(
        self,
        width: int,
        *,
        operations: Operations,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()

        def norm() -> nn.Module:
            return operations.LayerNorm(width, eps=NORM_EPS, device=device, dtype=dtype)

        def attention() -> DividedAttention:
            return DividedAttention(width, operations=operations, device=device, dtype=dtype)

        self.norm1 = norm()
        self.attn = attention()
        self.timeattn = attention()
        self.norm2 = norm()
        self.mlp = MotionFormerMLP(width, operations=operations, device=device, dtype=dtype)
        self.norm3 = norm()

    def forward(self, x: Tensor, times: int) -> Tensor:
        x = x + self.timeattn(self.norm3(x), times, over_time=True)
        x = x + self.attn(self.norm1(x), times, over_time=False)
        return x + self.mlp(self.norm2(x))


class TubeEmbedding(nn.Module):
    """Cuts a segment into tubes of ``tube`` frames by ``patch`` by ``patch`` pixels."""

    def __init__(
        self,
        width: int,
        tube: int,
        patch: int,
        *,
        operations: Operations,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        size = (tube, patch, patch)
        self.proj = operations.Conv3d(3, width, size, stride=size, device=device, dtype=dtype)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, frames, 3, H, W) -> (B, T, P, width)."""
        return self.proj(frames.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)


class MotionFormer(nn.Module):
    """Segments of frames to one feature a time."""

    def __init__(
        self,
        *,
        width: int,
        layers: int,
        times: int,
        places: int,
        tube: int,
        patch: int,
        operations: Operations,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.cls_token = bare(1, 1, width, device=device, dtype=dtype)
        self.pos_embed = bare(1, 1 + places, width, device=device, dtype=dtype)
        self.temp_embed = bare(1, times, width, device=device, dtype=dtype)
        self.patch_embed_3d = TubeEmbedding(
            width, tube, patch, operations=operations, device=device, dtype=dtype
        )
        self.blocks = nn.ModuleList(
            MotionFormerBlock(width, operations=operations, device=device, dtype=dtype)
            for _ in range(layers)
        )
        self.norm = operations.LayerNorm(width, eps=NORM_EPS, device=device, dtype=dtype)
        self.spatial_attn_agg = Aggregator(
            width, width // HEAD_WIDTH, operations=operations, device=device, dtype=dtype
        )

    def forward(self, segments: Tensor) -> Tensor:
        """Normalised segments (B, frames, 3, H, W) -> (B, T, width)."""
        x = self.patch_embed_3d(segments)
        batch, times = x.shape[:2]
        place, time = cast(self.pos_embed, x), cast(self.temp_embed, x)
        x = x + (place[:, None, 1:] + time[:, :, None])
        first = (cast(self.cls_token, x) + place[:, :1]).expand(batch, -1, -1)
        x = torch.cat((first, x.flatten(1, 2)), dim=1)
        for block in self.blocks:
            x = block(x, times)
        x = self.norm(x[:, 1:]).unflatten(1, (times, -1)).flatten(0, 1)
        return self.spatial_attn_agg(x).unflatten(0, (batch, times))
