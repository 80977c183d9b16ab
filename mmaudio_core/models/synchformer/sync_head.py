"""Synchformer's audio branch and synchronisation head (Iashin et al., arXiv 2401.16423).

They are in the published file beside the visual branch, which is a network of its own here: only
who asks how well sound and picture go together needs them. Attribute names are the published keys,
after ``KEY_SUFFIXES``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...config import SEGMENT_TOKENS
from ..attention import Attention, sdpa
from ..ops import TORCH_OPERATIONS, LayerFactory, Operations
from ..shapes import CheckpointShapes
from . import audio_branch, offset_transformer
from .audio_branch import PATCH, STRIDE, AudioBranch
from .motionformer import HEAD_WIDTH
from .offset_transformer import OffsetTransformer

MELS, MEL_FRAMES = 128, 66
"""Of a segment's mel spectrogram."""
MAX_OFFSET = 2.0
"""Seconds; the offsets that are told apart are spread evenly up to it, both ways."""
SYNC_HEAD_SIGNATURE = "transformer.off_head.weight"
VISUAL_PREFIX = "vfeat_extractor."


def _patches(length: int) -> int:
    return (length - PATCH) // STRIDE + 1


BANDS, AUDIO_TOKENS = _patches(MELS), _patches(MEL_FRAMES)
"""Frequencies and times of a segment's patches; the audio branch makes one token for each time."""
WINDOW_SEGMENTS = 14
"""Segments that the head compares at once: 4.8 s."""
_TOKENS = WINDOW_SEGMENTS * (SEGMENT_TOKENS + AUDIO_TOKENS) + offset_transformer.EXTRA_TOKENS


@dataclass(frozen=True, kw_only=True)
class SyncHeadParams:
    """Architecture of audio branch and head.

    Attributes:
        width: channels of a token, those of the visual branch's features included.
        audio_layers: transformer blocks of the audio branch.
        layers: transformer blocks of the head.
        offsets: number of offsets that are told apart.
    """

    width: int
    audio_layers: int
    layers: int
    offsets: int

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> SyncHeadParams:
        """Infer the architecture from a state dict's shapes.

        Raises:
            CheckpointError: a shape is missing or does not fit this architecture.
        """
        found = CheckpointShapes(network="synchronisation head of Synchformer", shapes=shapes)
        offsets, width = found.shape(SYNC_HEAD_SIGNATURE, None, None)
        found.heads(width, HEAD_WIDTH, "the audio branch")
        embeddings = "afeat_extractor.ast.embeddings"
        places = BANDS * AUDIO_TOKENS + audio_branch.EXTRA_TOKENS
        found.shape(f"{embeddings}.patch_embeddings.projection.weight", width, 1, PATCH, PATCH)
        found.shape(f"{embeddings}.position_embeddings", 1, places, width)
        found.shape("transformer.pos_emb_cfg.pos_emb", 1, _TOKENS, width)
        return cls(
            width=width,
            audio_layers=found.block_count("afeat_extractor.ast.encoder.layer"),
            layers=found.block_count("transformer.blocks"),
            offsets=offsets,
        )

    @property
    def seconds(self) -> Tensor:
        """(offsets,) what the logits stand for: by how many seconds the sound comes too early.

        The authors train with sound cut from ``offset`` seconds later in the recording than the
        picture (``dataset/transforms.py``): what is heard is seen ``offset`` seconds after it.
        """
        return torch.linspace(-MAX_OFFSET, MAX_OFFSET, self.offsets)


class SyncHead(nn.Module):
    """Audio branch and head."""

    def __init__(
        self,
        params: SyncHeadParams,
        *,
        operations: Operations = TORCH_OPERATIONS,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        attention: Attention = sdpa,
    ) -> None:
        super().__init__()
        self.params = params
        make = LayerFactory(operations, device, dtype, attention)
        width = params.width
        self.afeat_extractor = AudioBranch(
            make, width=width, layers=params.audio_layers, bands=BANDS, times=AUDIO_TOKENS
        )
        self.vproj = make.linear(width, width)
        self.aproj = make.linear(width, width)
        self.transformer = OffsetTransformer(
            make,
            width=width,
            layers=params.layers,
            tokens=_TOKENS,
            offsets=params.offsets,
        )

    def interruptible_modules(self) -> list[nn.Module]:
        """See ``progress.Interruptible``."""
        audio = self.afeat_extractor
        return [*audio.ast.layers, audio.freq_attn_agg, *self.transformer.blocks]

    def encode_segments(self, mel: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        """Features of the sound, six per segment of 0.64 s.

        Args:
            mel: (B, 128, 66) from ``audio.sync_mel``.
            dtype: as in ``Synchformer.encode_segments``.

        Returns:
            (B, 6, width) in the compute dtype.
        """
        return self.afeat_extractor(mel.to(dtype or self.transformer.OFF_tok.dtype))

    def offset_logits(
        self, visual: Tensor, audio: Tensor, *, dtype: torch.dtype | None = None
    ) -> Tensor:
        """How likely each offset of ``params.seconds`` is.

        Args:
            visual: (B, 14 * 8, width) features of the picture of a window.
            audio: (B, 14 * 6, width) features of its sound.
            dtype: as in ``Synchformer.encode_segments``.

        Returns:
            (B, offsets) in the compute dtype, before softmax.
        """
        dtype = dtype or self.transformer.OFF_tok.dtype
        return self.transformer(self.vproj(visual.to(dtype)), self.aproj(audio.to(dtype)))
