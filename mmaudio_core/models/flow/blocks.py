"""Transformer blocks of the flow network.

A joint block has three streams (latent, CLIP, text) with their own weights and one attention over
all of them, as in Stable Diffusion 3 (Esser et al., arXiv 2403.03206). A fused block has only the
latent stream.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..ops import LayerFactory
from .hooks import NO_HOOKS, BlockHooks, Streams
from .layers import (
    QKV,
    ConditionVectors,
    GatedMLP,
    Modulation,
    QKVProjection,
    apply_over_length,
    linear_or_conv,
    modulate,
)


def attend(hooks: BlockHooks, qkv: QKV, latents: int) -> Tensor:
    """Attention with merged heads: (B, heads, L, 64) -> (B, L, heads * 64)."""
    output = hooks.attend(qkv.q, qkv.k, qkv.v.contiguous())
    return hooks.attention_output(output, latents)


class StreamBlock(nn.Module):
    """One stream's part of a block: inputs of attention, gated residual, gated MLP.

    ``feeds_attention_only`` marks the CLIP and text parts of the last joint block, whose own
    results nothing uses.
    """

    def __init__(
        self,
        make: LayerFactory,
        width: int,
        kernel: int | None,
        *,
        feeds_attention_only: bool = False,
    ) -> None:
        super().__init__()
        self.attn = QKVProjection(make, width)
        self.adaLN_modulation = Modulation(make, width, 2 if feeds_attention_only else 6)
        if not feeds_attention_only:
            self.linear1 = linear_or_conv(make, width, width, kernel)
            self.ffn = GatedMLP(make, width, kernel)

    def prepare(
        self, x: Tensor, condition: ConditionVectors, rotation: Tensor | None
    ) -> tuple[QKV, tuple[Tensor, ...]]:
        """Queries, keys and values of ``x`` (B, L, D), and the modulation that ``finish`` needs."""
        shift, scale, *rest = self.adaLN_modulation(condition)
        return self.attn(modulate(x, shift, scale), rotation), tuple(rest)

    def finish(self, x: Tensor, attended: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """Add the gated attention and the gated MLP: (B, L, D) -> (B, L, D)."""
        gate1, shift2, scale2, gate2 = modulation
        x = torch.addcmul(x, apply_over_length(self.linear1, attended), gate1)
        return torch.addcmul(x, self.ffn(modulate(x, shift2, scale2)), gate2)


class FusedBlock(StreamBlock):
    """A block with only the latent stream."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__(make, width, 3)

    def forward(
        self, x: Tensor, condition: ConditionVectors, rotation: Tensor, hooks: BlockHooks = NO_HOOKS
    ) -> Tensor:
        qkv, modulation = self.prepare(x, condition, rotation)
        return self.finish(x, attend(hooks, qkv, x.shape[1]), modulation)


class JointBlock(nn.Module):
    """Attention over [latent; clip; text]; everything else per stream."""

    def __init__(self, make: LayerFactory, width: int, *, last: bool) -> None:
        super().__init__()
        self.last = last
        self.latent_block = StreamBlock(make, width, 3)
        self.clip_block = StreamBlock(make, width, 3, feeds_attention_only=last)
        self.text_block = StreamBlock(make, width, None, feeds_attention_only=last)

    def forward(
        self,
        x: Streams,
        *,
        latent_condition: ConditionVectors,
        global_condition: ConditionVectors,
        latent_rotation: Tensor,
        clip_rotation: Tensor,
        hooks: BlockHooks = NO_HOOKS,
    ) -> Streams:
        """``global_condition`` modulates CLIP and text. The last block leaves those unchanged."""
        latent_qkv, latent_mod = self.latent_block.prepare(
            x.latent, latent_condition, latent_rotation
        )
        clip_qkv, clip_mod = self.clip_block.prepare(x.clip, global_condition, clip_rotation)
        text_qkv, text_mod = self.text_block.prepare(x.text, global_condition, None)
        joined = QKV(
            *(torch.cat(p, dim=2) for p in zip(latent_qkv, clip_qkv, text_qkv, strict=True))
        )
        lengths = [x.latent.shape[1], x.clip.shape[1], x.text.shape[1]]
        attended = attend(hooks, joined, lengths[0])
        latent, clip, text = torch.split(attended, lengths, dim=1)
        latent = self.latent_block.finish(x.latent, latent, latent_mod)
        if self.last:
            return Streams(latent, x.clip, x.text)
        return Streams(
            latent,
            self.clip_block.finish(x.clip, clip, clip_mod),
            self.text_block.finish(x.text, text, text_mod),
        )


class FinalLayer(nn.Module):
    """Modulated norm and projection to the latent's width."""

    def __init__(self, make: LayerFactory, width: int, latent_dim: int) -> None:
        super().__init__()
        self.adaLN_modulation = Modulation(make, width, 2)
        self.conv = make.conv1d(width, latent_dim, 7)

    def forward(self, x: Tensor, condition: ConditionVectors) -> Tensor:
        """(B, L, D) -> (B, L, latent_dim)."""
        shift, scale = self.adaLN_modulation(condition)
        return apply_over_length(self.conv, modulate(x, shift, scale))
