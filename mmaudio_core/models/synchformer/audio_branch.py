"""Synchformer's audio branch: an Audio Spectrogram Transformer on one segment of sound.

Gong et al., arXiv 2104.01778. A segment's tokens are [class; distillation; times of the lowest
band; times of the next band; ...]. Attribute names are the published keys.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import LayerFactory, cast_to
from .aggregator import Aggregator
from .motionformer import HEAD_WIDTH
from .separate_attention import SeparateAttention

PATCH = 16
"""Side of a patch, in mel bands and in frames."""
STRIDE = 10
"""Mel bands or frames between patches, which overlap."""
EXTRA_TOKENS = 2
"""The class token and the distillation token."""
_NORM_EPS = 1e-12


class ASTLayer(nn.Module):
    """Pre-norm residual block: attention, then MLP."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.layernorm_before = make.layer_norm(width, eps=_NORM_EPS)
        self.attention = nn.ModuleDict(
            {
                "attention": SeparateAttention(make, width, width // HEAD_WIDTH),
                "output": nn.ModuleDict({"dense": make.linear(width, width)}),
            }
        )
        self.layernorm_after = make.layer_norm(width, eps=_NORM_EPS)
        self.intermediate = nn.ModuleDict({"dense": make.linear(width, 4 * width)})
        self.output = nn.ModuleDict({"dense": make.linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        attended = self.attention["attention"](self.layernorm_before(x))
        x = x + self.attention["output"].get_submodule("dense")(attended)
        hidden = F.gelu(self.intermediate["dense"](self.layernorm_after(x)))
        return x + self.output["dense"](hidden)


class PatchEmbeddings(nn.Module):
    """Overlapping patches of a spectrogram."""

    def __init__(self, make: LayerFactory, width: int) -> None:
        super().__init__()
        self.projection = make.operations.Conv2d(
            1, width, PATCH, stride=STRIDE, device=make.device, dtype=make.dtype
        )

    def forward(self, mel: Tensor) -> Tensor:
        """(B, mels, frames) -> (B, bands * times, width), all times of a band together."""
        return self.projection(mel[:, None]).flatten(2).transpose(1, 2)


class ASTEmbeddings(nn.Module):
    """Tokens of a segment with their positions."""

    def __init__(self, make: LayerFactory, width: int, tokens: int) -> None:
        super().__init__()
        self.cls_token = make.parameter(1, 1, width)
        self.distillation_token = make.parameter(1, 1, width)
        self.position_embeddings = make.parameter(1, tokens + EXTRA_TOKENS, width)
        self.patch_embeddings = PatchEmbeddings(make, width)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, mels, frames) -> (B, 2 + bands * times, width)."""
        x = self.patch_embeddings(mel)
        extra = (cast_to(t, x).expand(len(x), -1, -1) for t in self._extra())
        return torch.cat((*extra, x), dim=1) + cast_to(self.position_embeddings, x)

    def _extra(self) -> tuple[Tensor, Tensor]:
        return self.cls_token, self.distillation_token


class AST(nn.Module):
    """A segment's tokens, each of which has seen all others."""

    def __init__(self, make: LayerFactory, width: int, *, layers: int, tokens: int) -> None:
        super().__init__()
        self.embeddings = ASTEmbeddings(make, width, tokens)
        self.encoder = nn.ModuleDict(
            {"layer": nn.ModuleList(ASTLayer(make, width) for _ in range(layers))}
        )
        self.layernorm = make.layer_norm(width, eps=_NORM_EPS)

    @property
    def layers(self) -> list[nn.Module]:
        return list(self.encoder["layer"].children())

    def forward(self, mel: Tensor) -> Tensor:
        """(B, mels, frames) -> (B, bands * times, width)."""
        x = self.embeddings(mel)
        for layer in self.layers:
            x = layer(x)
        return self.layernorm(x[:, EXTRA_TOKENS:])


class AudioBranch(nn.Module):
    """Mel spectrograms of segments to one feature per time."""

    def __init__(
        self, make: LayerFactory, *, width: int, layers: int, bands: int, times: int
    ) -> None:
        super().__init__()
        self.bands = bands
        self.ast = AST(make, width, layers=layers, tokens=bands * times)
        self.freq_attn_agg = Aggregator(make, width, width // HEAD_WIDTH)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, mels, frames) -> (B, times, width)."""
        x = self.ast(mel).unflatten(1, (self.bands, -1)).transpose(1, 2)
        return self.freq_attn_agg(x.flatten(0, 1)).unflatten(0, x.shape[:2])
