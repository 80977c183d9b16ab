"""CLIP's image and text towers: MMAudio's picture and prompt features.

Radford et al., arXiv 2103.00020; the checkpoint is DFN5B ViT-H/14 at 384 pixels (Fang et al.,
arXiv 2309.17425). Attribute names are the published (open_clip) keys, after ``KEY_SUFFIXES``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attention import Attention, sdpa
from ..ops import TORCH_OPERATIONS, LayerFactory, Operations, cast_to
from ..self_attention import KEY_SUFFIXES as KEY_SUFFIXES
from ..shapes import CheckpointShapes
from .layers import ImageTower, Transformer

IMAGE_SIZE = 384  # pixels; the shapes reveal only the number of whole patches
VISION_HEAD_WIDTH = 80
TEXT_HEAD_WIDTH = 64
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of RGB in [0, 1]
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
IGNORED_KEYS = ("logit_scale",)  # the temperature of CLIP's training loss


@dataclass(frozen=True, kw_only=True)
class CLIPParams:
    """Architecture of a CLIP; sizes in pixels, tokens and channels."""

    image_size: int
    patch_size: int
    vision_width: int
    vision_layers: int
    vision_heads: int
    text_width: int
    text_layers: int
    text_heads: int
    context_length: int
    vocab_size: int
    embed_dim: int

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> CLIPParams:
        """Infer the architecture from a state dict's shapes.

        Raises:
            CheckpointError: a shape is missing or does not fit this architecture.
        """
        found = CheckpointShapes(network="CLIP", shapes=shapes)
        vision_width, _, patch_size, _ = found.shape("visual.conv1.weight", None, 3, None, None)
        grid = IMAGE_SIZE // patch_size
        found.shape("visual.positional_embedding", 1 + grid**2, vision_width)
        embed_dim = found.shape("visual.proj", vision_width, None)[1]
        context_length, text_width = found.shape("positional_embedding", None, None)
        vocab_size = found.shape("token_embedding.weight", None, text_width)[0]
        found.shape("text_projection", text_width, embed_dim)
        return cls(
            image_size=IMAGE_SIZE,
            patch_size=patch_size,
            vision_width=vision_width,
            vision_layers=found.block_count("visual.transformer.resblocks"),
            vision_heads=found.heads(vision_width, VISION_HEAD_WIDTH, "the image tower"),
            text_width=text_width,
            text_layers=found.block_count("transformer.resblocks"),
            text_heads=found.heads(text_width, TEXT_HEAD_WIDTH, "the text tower"),
            context_length=context_length,
            vocab_size=vocab_size,
            embed_dim=embed_dim,
        )

    @property
    def patches(self) -> int:
        """Patches per image; pixels beyond the last whole patch are ignored."""
        return (self.image_size // self.patch_size) ** 2


class CLIP(nn.Module):
    """Both towers.

    The compute dtype is chosen per call; weights of another dtype need ``operations`` that cast
    them.
    """

    def __init__(
        self,
        params: CLIPParams,
        *,
        operations: Operations = TORCH_OPERATIONS,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        attention: Attention = sdpa,
    ) -> None:
        super().__init__()
        self.params = params
        make = LayerFactory(operations, device, dtype, attention)
        self.positional_embedding = make.parameter(params.context_length, params.text_width)
        self.text_projection = make.parameter(params.text_width, params.embed_dim)
        self.visual = ImageTower(
            make,
            width=params.vision_width,
            layers=params.vision_layers,
            heads=params.vision_heads,
            patch_size=params.patch_size,
            patches=params.patches,
            embed_dim=params.embed_dim,
        )
        self.transformer = Transformer(
            make, params.text_width, layers=params.text_layers, heads=params.text_heads
        )
        self.token_embedding = operations.Embedding(
            params.vocab_size, params.text_width, device=device, dtype=dtype
        )
        self.ln_final = make.layer_norm(params.text_width)

    def interruptible_modules(self) -> list[nn.Module]:
        """See ``progress.Interruptible``."""
        return [*self.visual.transformer.resblocks, *self.transformer.resblocks]

    def encode_image(self, frames: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        """Picture features.

        Args:
            frames: (B, 3, 384, 384) RGB, uint8 or floating point in [0, 1].
            dtype: compute dtype; default: the frames', or for uint8 the weights'.

        Returns:
            (B, embed_dim) unit vectors in the compute dtype.
        """
        if dtype is None:
            dtype = frames.dtype if frames.is_floating_point() else self.text_projection.dtype
        white = 1.0 if frames.is_floating_point() else 255.0
        mean, std = (
            torch.tensor(c, device=frames.device).view(3, 1, 1) for c in (PIXEL_MEAN, PIXEL_STD)
        )
        pixels = torch.addcmul(-mean / std, frames.float(), 1 / (white * std))
        return _unit(self.visual(pixels.to(dtype)))

    def encode_text(self, tokens: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        """Prompt features: every hidden state of the text tower.

        Args:
            tokens: (B, 77) int64, from ``tokenize``.
            dtype: compute dtype; default: the weights'.

        Returns:
            (B, 77, text_width) unit vectors in the compute dtype.
        """
        return _unit(self._hidden_states(tokens, dtype))

    def pooled_text(self, tokens: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        """One unit vector per text, comparable to ``encode_image``: (B, embed_dim).

        Args:
            tokens: (B, n) int64, from ``tokenize``; each text may be cut behind its end token.
            dtype: compute dtype; default: the weights'.
        """
        hidden = self._hidden_states(tokens, dtype)
        end = tokens.argmax(dim=-1)  # the end token has the largest id
        pooled = hidden[torch.arange(len(tokens), device=tokens.device), end]
        return _unit(pooled @ cast_to(self.text_projection, pooled))

    def _hidden_states(self, tokens: Tensor, dtype: torch.dtype | None) -> Tensor:
        x = self.token_embedding(tokens)
        x = x.to(dtype or self.text_projection.dtype)
        x = x + cast_to(self.positional_embedding, x)[: x.shape[1]]
        return self.ln_final(self.transformer(x, causal=True))


def _unit(x: Tensor) -> Tensor:
    """L2-normalize the last dimension, in float32 because squares may overflow float16."""
    return F.normalize(x.float(), dim=-1).to(x.dtype)
