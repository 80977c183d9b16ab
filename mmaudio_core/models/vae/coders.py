"""The VAE's decoder and encoder, as sequences of operations that can run chunk by chunk.

All operations but the attention are local. The attention is local too once it is given its context:
the keys and values to attend to.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..chunked import LocalOp, run_full
from ..ops import LayerFactory
from .layers import KeysValues, Level, Middle, silu

_DECODER_BLOCKS, _ENCODER_BLOCKS = 3, 2
_MEL_LEVEL, _LATENT_LEVEL = 0, 1  # the last level at the mel's rate, the first at the latent's


class Decoder(nn.Module):
    """Latents (B, latent_dim, N) to normalized mel (B, mels, 2N)."""

    def __init__(
        self, make: LayerFactory, *, mels: int, latent_dim: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.conv_in = make.conv1d(latent_dim, widths[-1], 3, bias=False)
        self.mid = Middle(make, widths[-1])
        inputs = (*widths[1:], widths[-1])
        self.up = nn.ModuleList(
            Level(make, inputs[i], width, blocks=_DECODER_BLOCKS, upsample=i == _LATENT_LEVEL)
            for i, width in enumerate(widths)
        )
        self.conv_out = make.conv1d(widths[0], mels, 3, bias=False)

    def ops_before_attention(self) -> list[LocalOp]:
        return [LocalOp(run=self.conv_in, radius=1), self.mid.op_before_attention()]

    def ops(self, context: KeysValues | None = None) -> list[LocalOp]:
        """The whole decoder; by default the attention attends to all of its input."""
        levels = [level for level in reversed(self.up) if isinstance(level, Level)]
        return [
            *self.ops_before_attention(),
            *self.mid.ops_from_attention(context),
            *(op for level in levels for op in level.ops()),
            LocalOp(run=lambda x: self.conv_out(silu(x)), radius=1),
        ]

    def forward(self, z: Tensor) -> Tensor:
        return run_full(self.ops(), z)


class Encoder(nn.Module):
    """Normalized mel (B, mels, 2N) to moments (B, 2 * latent_dim, N)."""

    def __init__(
        self, make: LayerFactory, *, mels: int, latent_dim: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.conv_in = make.conv1d(mels, widths[0], 3, bias=False)
        inputs = (widths[0], *widths[:-1])
        self.down = nn.ModuleList(
            Level(make, inputs[i], width, blocks=_ENCODER_BLOCKS, downsample=i == _MEL_LEVEL)
            for i, width in enumerate(widths)
        )
        self.mid = Middle(make, widths[-1])
        self.conv_out = make.conv1d(widths[-1], 2 * latent_dim, 3, bias=False)

    def ops_before_attention(self) -> list[LocalOp]:
        levels = [level for level in self.down if isinstance(level, Level)]
        return [
            LocalOp(run=self.conv_in, radius=1),
            *(op for level in levels for op in level.ops()),
            self.mid.op_before_attention(),
        ]

    def ops(self, context: KeysValues | None = None) -> list[LocalOp]:
        """The whole encoder; by default the attention attends to all of its input."""
        return [
            *self.ops_before_attention(),
            *self.mid.ops_from_attention(context),
            LocalOp(run=lambda x: self.conv_out(silu(x)), radius=1),
        ]

    def forward(self, mel: Tensor) -> Tensor:
        return run_full(self.ops(), mel)
