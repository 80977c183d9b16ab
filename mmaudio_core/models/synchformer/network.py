"""Synchformer (Iashin et al., arXiv 2401.16423): features that tell when things happen.

Attribute names are the published keys, after ``KEY_SUFFIXES``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..attention import KEY_SUFFIXES as KEY_SUFFIXES
from ..ops import Operations
from ..shapes import Shapes
from .motionformer import HEAD_WIDTH, MotionFormer

# An image model's embedding that the video model was started from; nothing uses it.
IGNORED_KEYS = (
    "vfeat_extractor.patch_embed.proj.weight",
    "vfeat_extractor.patch_embed.proj.bias",
)
# The audio branch and the synchronisation head, in the same file.
IGNORED_PREFIXES = ("afeat_extractor.", "aproj.", "vproj.", "transformer.")


@dataclass(frozen=True, kw_only=True)
class SynchformerParams:
    """Architecture of the visual branch."""

    width: int
    layers: int
    times: int  # features a segment
    places: int  # patches a frame
    tube: int  # frames a patch spans
    patch: int  # its side in pixels

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> SynchformerParams:
        """Read the architecture off a state dict's shapes.

        Raises:
            CheckpointError: a shape is missing or is not one this architecture has.
        """
        got = Shapes(network="Synchformer", shapes=shapes)
        key = "vfeat_extractor.patch_embed_3d.proj.weight"
        width, _, tube, patch, _ = got.of(key, None, 3, None, None, None)
        got.heads(width, HEAD_WIDTH, "the visual branch")
        return cls(
            width=width,
            layers=got.depth("vfeat_extractor.blocks"),
            times=got.of("vfeat_extractor.temp_embed", 1, None, width)[1],
            places=got.of("vfeat_extractor.pos_embed", 1, None, width)[1] - 1,
            tube=tube,
            patch=patch,
        )

    @property
    def segment_frames(self) -> int:
        """Frames a segment is made of."""
        return self.times * self.tube


class Synchformer(nn.Module):
    """The visual branch."""

    def __init__(
        self,
        params: SynchformerParams,
        *,
        operations: Operations = nn,  # pyright: ignore[reportArgumentType]
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.params = params
        self.vfeat_extractor = MotionFormer(
            width=params.width,
            layers=params.layers,
            times=params.times,
            places=params.places,
            tube=params.tube,
            patch=params.patch,
            operations=operations,
            device=device,
            dtype=dtype,
        )

    def steps(self) -> list[nn.Module]:
        visual = self.vfeat_extractor
        return [*visual.blocks, visual.spatial_attn_agg]

    def encode_segments(self, segments: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        """Features of the picture, 0.08 s each.

        Args:
            segments: (B, 16, 3, 224, 224) uint8 RGB at 25 frames a second.
            dtype: to compute in; default: the weights'. Weights of another dtype need
                ``operations`` that cast them.

        Returns:
            (B, 8, width) in the compute dtype.
        """
        dtype = dtype or self.vfeat_extractor.cls_token.dtype
        pixels = (segments.float() / 127.5 - 1).to(dtype)
        return self.vfeat_extractor(pixels)
