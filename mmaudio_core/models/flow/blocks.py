"""Transformer blocks of the flow network.

A joint block holds three streams (latent, CLIP, text) with weights of their own and one attention
over all of them (as in Stable Diffusion 3, arXiv 2403.03206); a fused block is the latent's alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .layers import (
    QKV,
    Condition,
    LayerFactory,
    Modulation,
    QKVProjection,
    apply_over_length,
    attend,
    modulate,
)


class StreamBlock(nn.Module):
    """One stream's part of a block: attention input, gated residual, gated MLP.

    ``last`` marks CLIP's and text's part of the last joint block, which only feeds attention.
    """

    def __init__(
        self, make: LayerFactory, width: int, kernel: int | None, *, last: bool = False
    ) -> None:
        super().__init__()
        self.attn = QKVProjection(make, width)
        self.adaLN_modulation = Modulation(make, width, 2 if last else 6)
        if not last:
            self.linear1 = make.layer(width, width, kernel)
            self.ffn = make.mlp(width, kernel)

    def prepare(
        self, x: Tensor, condition: Condition, rotation: Tensor | None
    ) -> tuple[QKV, tuple[Tensor, ...]]:
        """Queries, keys and values of ``x`` (B, L, D), and the modulation left for ``finish``."""
        shift, scale, *rest = self.adaLN_modulation(condition)
        return self.attn(modulate(x, shift, scale), rotation), tuple(rest)

    def finish(self, x: Tensor, attended: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """Add the attended values and the MLP, both gated."""
        gate1, shift2, scale2, gate2 = modulation
        x = torch.addcmul(x, apply_over_length(self.linear1, attended), gate1)
        return torch.addcmul(x, self.ffn(modulate(x, shift2, scale2)), gate2)


class FusedBlock(StreamBlock):
    """A block of the latent stream alone."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__(make, width, 3)

    def forward(self, x: Tensor, condition: Condition, rotation: Tensor) -> Tensor:
        qkv, modulation = self.prepare(x, condition, rotation)
        return self.finish(x, attend(qkv), modulation)


class Streams(NamedTuple):
    """The three streams, each (B, L, D)."""

    latent: Tensor
    clip: Tensor
    text: Tensor


class JointBlock(nn.Module):
    """Attention over [latent; clip; text], everything else apart."""

    def __init__(self, make: LayerFactory, width: int, *, last: bool) -> None:
        super().__init__()
        self.last = last
        self.latent_block = StreamBlock(make, width, 3)
        self.clip_block = StreamBlock(make, width, 3, last=last)
        self.text_block = StreamBlock(make, width, None, last=last)

    def forward(
        self,
        x: Streams,
        *,
        extended: Condition,
        common: Condition,
        latent_rotation: Tensor,
        clip_rotation: Tensor,
    ) -> Streams:
        """``extended`` modulates the latent, ``common`` CLIP and text."""
        latent_qkv, latent_mod = self.latent_block.prepare(x.latent, extended, latent_rotation)
        clip_qkv, clip_mod = self.clip_block.prepare(x.clip, common, clip_rotation)
        text_qkv, text_mod = self.text_block.prepare(x.text, common, None)
        joined = QKV(
            *(torch.cat(p, dim=2) for p in zip(latent_qkv, clip_qkv, text_qkv, strict=True))
        )
        lengths = [x.latent.shape[1], x.clip.shape[1], x.text.shape[1]]
        latent, clip, text = torch.split(attend(joined), lengths, dim=1)
        latent = self.latent_block.finish(x.latent, latent, latent_mod)
        if self.last:
            return Streams(latent, x.clip, x.text)
        return Streams(
            latent,
            self.clip_block.finish(x.clip, clip, clip_mod),
            self.text_block.finish(x.text, text, text_mod),
        )
