"""The latent autoencoder of mel spectrograms: 1-D, magnitude-preserving.

Karras et al. (EDM2), arXiv 2312.02696. Its convolutions are stored unnormalized and used as
``w / rms(w) / sqrt(fan-in)``; the loader does this once (``fold_weights``), so that the layers are
plain convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..attention import Attention, sdpa
from ..chunked import chunk_bounds, run_chunk
from ..ops import TORCH_OPERATIONS, LayerFactory, Operations, cast_to
from ..shapes import CheckpointShapes
from .coders import Decoder, Encoder
from .context import attention_contexts
from .layers import EPS, AttentionBlock, ResidualBlock, Upsample

_LEVELS = (1, 2, 4)  # widths of the levels in units of the hidden width


@dataclass(frozen=True, kw_only=True)
class VAEParams:
    """Architecture of a VAE."""

    mels: int
    latent_dim: int
    hidden: int

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> VAEParams:
        """Infer the architecture from a state dict's shapes.

        Raises:
            CheckpointError: a shape is missing or does not fit this architecture.
        """
        found = CheckpointShapes(network="VAE", shapes=shapes)
        hidden, mels, _ = found.shape("encoder.conv_in.weight", None, None, 3)
        _, latent_dim, _ = found.shape("decoder.conv_in.weight", hidden * _LEVELS[-1], None, 3)
        return cls(mels=mels, latent_dim=latent_dim, hidden=hidden)

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(self.hidden * level for level in _LEVELS)


def fold_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Normalize the stored convolutions and fold the two output gains into them, in float32."""
    folded: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if key.endswith("learnable_gain"):
            continue
        if not key.endswith(".weight"):
            folded[key] = tensor
            continue
        w = tensor.float()
        sqrt_fan_in = math.sqrt(w[0].numel())
        rms = w.square().sum(dim=(1, 2), keepdim=True).sqrt() / sqrt_fan_in
        w = w / (EPS + rms) / sqrt_fan_in
        if key.endswith("conv_out.weight"):
            w = w * (1 + state[key.replace("conv_out.weight", "learnable_gain")].float())
        folded[key] = w
    return folded


class VAE(nn.Module):
    """Encoder and decoder; attribute names are the published keys (after ``fold_weights``)."""

    def __init__(
        self,
        params: VAEParams,
        *,
        operations: Operations = TORCH_OPERATIONS,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        attention: Attention = sdpa,
    ) -> None:
        super().__init__()
        self.params = params
        make = LayerFactory(operations, device, dtype, attention)
        mels, latent_dim, widths = params.mels, params.latent_dim, params.widths
        self.data_mean = make.parameter(1, mels, 1)
        self.data_std = make.parameter(1, mels, 1)
        self.encoder = Encoder(make, mels=mels, latent_dim=latent_dim, widths=widths)
        self.decoder = Decoder(make, mels=mels, latent_dim=latent_dim, widths=widths)

    def interruptible_modules(self) -> list[nn.Module]:
        """See ``progress.Interruptible``."""
        kinds = ResidualBlock | AttentionBlock | Upsample
        return [module for module in self.modules() if isinstance(module, kinds)]

    def decode(self, z: Tensor) -> Tensor:
        """Latents (B, latent_dim, N) to log mel (B, mels, 2N)."""
        return self._unnormalize(self.decoder(z))

    def decode_chunks(self, z: Tensor, longest: int) -> Iterator[Tensor]:
        """``decode(z)`` in consecutive chunks, each of at most ``longest`` latents.

        The attention of a chunk sees ``CONTEXT_CHUNKS`` chunks on either side, so the result equals
        ``decode(z)`` only if no chunk is farther away than that.
        """
        chunks = chunk_bounds(z.shape[-1], longest)
        contexts = attention_contexts(self.decoder, z, chunks)
        for (start, stop), context in zip(chunks, contexts, strict=True):
            y = run_chunk(self.decoder.ops(context), z, (2 * start, 2 * stop))
            yield self._unnormalize(y)

    def encode(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Log mel (B, mels, 2N) to mean and log variance, each (B, latent_dim, N)."""
        return _moments(self.encoder(self._normalize(mel)))

    def encode_chunks(self, mel: Tensor, longest: int) -> Iterator[tuple[Tensor, Tensor]]:
        """``encode(mel)`` in consecutive chunks; see ``decode_chunks``."""
        y = self._normalize(mel)
        chunks = chunk_bounds(mel.shape[-1] // 2, longest)
        contexts = attention_contexts(self.encoder, y, chunks)
        for chunk, context in zip(chunks, contexts, strict=True):
            yield _moments(run_chunk(self.encoder.ops(context), y, chunk))

    def _normalize(self, mel: Tensor) -> Tensor:
        return (mel - cast_to(self.data_mean, mel)) / cast_to(self.data_std, mel)

    def _unnormalize(self, y: Tensor) -> Tensor:
        return y * cast_to(self.data_std, y) + cast_to(self.data_mean, y)


def _moments(encoded: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log variance of the encoder's output."""
    mean, logvar = encoded.chunk(2, dim=1)
    return mean, logvar.clamp(-30.0, 20.0)
