"""Synchformer (Iashin et al., arXiv 2401.16423): features that tell when things happen in a video.

Attribute names are the published keys, after ``KEY_SUFFIXES``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..attention import Attention, sdpa
from ..ops import TORCH_OPERATIONS, LayerFactory, Operations
from ..self_attention import KEY_SUFFIXES as KEY_SUFFIXES
from ..shapes import CheckpointShapes
from .motionformer import HEAD_WIDTH, MotionFormer

# The patch embedding of the image model that the video model was initialized from; it is unused.
IGNORED_KEYS = (
    "vfeat_extractor.patch_embed.proj.weight",
    "vfeat_extractor.patch_embed.proj.bias",
)
# The audio branch and the synchronisation head, which are in the same file: see ``sync_head``.
IGNORED_PREFIXES = ("afeat_extractor.", "aproj.", "vproj.", "transformer.")


@dataclass(frozen=True, kw_only=True)
class SynchformerParams:
    """Architecture of the visual branch.

    Attributes:
        width: channels of a feature.
        layers: transformer blocks.
        times: features per segment.
        places: patches per frame.
        tube: frames that a patch spans.
        patch: side of a patch in pixels.
    """

    width: int
    layers: int
    times: int
    places: int
    tube: int
    patch: int

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> SynchformerParams:
        """Infer the architecture from a state dict's shapes.

        Raises:
            CheckpointError: a shape is missing or does not fit this architecture.
        """
        found = CheckpointShapes(network="Synchformer", shapes=shapes)
        key = "vfeat_extractor.patch_embed_3d.proj.weight"
        width, _, tube, patch, _ = found.shape(key, None, 3, None, None, None)
        found.heads(width, HEAD_WIDTH, "the visual branch")
        return cls(
            width=width,
            layers=found.block_count("vfeat_extractor.blocks"),
            times=found.shape("vfeat_extractor.temp_embed", 1, None, width)[1],
            places=found.shape("vfeat_extractor.pos_embed", 1, None, width)[1] - 1,
            tube=tube,
            patch=patch,
        )

    @property
    def segment_frames(self) -> int:
        """Frames per segment."""
        return self.times * self.tube


class Synchformer(nn.Module):
    """The visual branch."""

    def __init__(
        self,
        params: SynchformerParams,
        *,
        operations: Operations = TORCH_OPERATIONS,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        attention: Attention = sdpa,
    ) -> None:
        super().__init__()
        self.params = params
        self.vfeat_extractor = MotionFormer(
            LayerFactory(operations, device, dtype, attention),
            width=params.width,
            layers=params.layers,
            times=params.times,
            places=params.places,
            tube=params.tube,
            patch=params.patch,
        )

    def interruptible_modules(self) -> list[nn.Module]:
        """See ``progress.Interruptible``."""
        visual = self.vfeat_extractor
        return [*visual.blocks, visual.spatial_attn_agg]

    def encode_segments(self, segments: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        """Features of the picture, one per 0.08 s.

        Args:
            segments: (B, 16, 3, 224, 224) uint8 RGB at 25 frames per second.
            dtype: compute dtype; default: the weights'. Weights of another dtype need
                ``operations`` that cast them.

        Returns:
            (B, 8, width) in the compute dtype.
        """
        dtype = dtype or self.vfeat_extractor.cls_token.dtype
        pixels = (segments.float() / 127.5 - 1).to(dtype)
        return self.vfeat_extractor(pixels)
