"""The latent autoencoder of mel spectrograms: 1-D, magnitude-preserving (EDM2, arXiv 2312.02696).

Its convolutions are stored unnormalised and used as ``w / rms(w) / sqrt(fan-in)``; the loader folds
that (``fold_weights``), so the layers here are plain.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..chunked import LocalOp, chunk_bounds, run_chunk, run_full
from ..ops import Operations, bare, cast
from ..shapes import Shapes
from .layers import (
    EPS,
    Attention,
    Downsample,
    KeysValues,
    LayerFactory,
    Level,
    Middle,
    ResidualBlock,
    Upsample,
    silu,
)

_LEVELS = (1, 2, 4)  # widths of the levels, in units of the hidden width
_RESAMPLED = 1  # the level whose resolution is the latent's on one side, the mel's on the other
_DECODER_BLOCKS, _ENCODER_BLOCKS = 3, 2
NEIGHBOURS = 2  # pieces on either side that the attention of a piece sees


@dataclass(frozen=True, kw_only=True)
class VAEParams:
    """Architecture of a VAE."""

    mels: int
    latent_dim: int
    hidden: int

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> VAEParams:
        """Read the architecture off a state dict's shapes.

        Raises:
            CheckpointError: a shape is missing or is not one this architecture has.
        """
        got = Shapes(network="VAE", shapes=shapes)
        hidden, mels, _ = got.of("encoder.conv_in.weight", None, None, 3)
        _, latent_dim, _ = got.of("decoder.conv_in.weight", hidden * _LEVELS[-1], None, 3)
        return cls(mels=mels, latent_dim=latent_dim, hidden=hidden)

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(self.hidden * level for level in _LEVELS)


def fold_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Normalise the stored convolutions and fold the two output gains into them, in float32."""
    folded: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if key.endswith("learnable_gain"):
            continue
        if not key.endswith(".weight"):
            folded[key] = tensor
            continue
        w = tensor.float()
        root = math.sqrt(w[0].numel())
        norm = w.square().sum(dim=(1, 2), keepdim=True).sqrt() / root
        w = w / (EPS + norm) / root
        if key.endswith("conv_out.weight"):
            w = w * (1 + state[key.replace("conv_out.weight", "learnable_gain")].float())
        folded[key] = w
    return folded


class Decoder(nn.Module):
    """Latents (B, latent_dim, N) to normalised mel (B, mels, 2N)."""

    def __init__(self, make: LayerFactory, params: VAEParams) -> None:
        super().__init__()
        widths = params.widths
        self.conv_in = make.conv(params.latent_dim, widths[-1])
        self.mid = Middle(make, widths[-1])
        above = (*widths[1:], widths[-1])
        self.up = nn.ModuleList(
            [Level(make, a, w, _DECODER_BLOCKS) for a, w in zip(above, widths, strict=True)]
        )
        self.up[_RESAMPLED].upsample = Upsample(make, widths[_RESAMPLED])
        self.conv_out = make.conv(widths[0], params.mels)

    def before(self) -> list[LocalOp]:
        """What comes before the attention."""
        return [LocalOp(run=self.conv_in, reach=1), self.mid.parts()[0]]

    def parts(self, seen: KeysValues | None = None) -> list[LocalOp]:
        """The decoder as steps that are local, given what the attention has ``seen``."""
        levels = [level for level in reversed(self.up) if isinstance(level, Level)]
        return [
            LocalOp(run=self.conv_in, reach=1),
            *self.mid.parts(seen),
            *(part for level in levels for part in level.parts()),
            LocalOp(run=lambda x: self.conv_out(silu(x)), reach=1),
        ]

    def forward(self, z: Tensor) -> Tensor:
        return run_full(self.parts(), z)


class Encoder(nn.Module):
    """Normalised mel (B, mels, 2N) to moments (B, 2 * latent_dim, N)."""

    def __init__(self, make: LayerFactory, params: VAEParams) -> None:
        super().__init__()
        widths = params.widths
        self.conv_in = make.conv(params.mels, widths[0])
        below = (widths[0], *widths[:-1])
        self.down = nn.ModuleList(
            [Level(make, b, w, _ENCODER_BLOCKS) for b, w in zip(below, widths, strict=True)]
        )
        self.down[_RESAMPLED - 1].downsample = Downsample(make, widths[_RESAMPLED - 1])
        self.mid = Middle(make, widths[-1])
        self.conv_out = make.conv(widths[-1], 2 * params.latent_dim)

    def before(self) -> list[LocalOp]:
        """What comes before the attention."""
        levels = [level for level in self.down if isinstance(level, Level)]
        return [
            LocalOp(run=self.conv_in, reach=1),
            *(part for level in levels for part in level.parts()),
            self.mid.parts()[0],
        ]

    def parts(self, seen: KeysValues | None = None) -> list[LocalOp]:
        """The encoder as steps that are local, given what the attention has ``seen``."""
        return [
            *self.before(),
            *self.mid.parts(seen)[1:],
            LocalOp(run=lambda x: self.conv_out(silu(x)), reach=1),
        ]

    def forward(self, mel: Tensor) -> Tensor:
        return run_full(self.parts(), mel)


class VAE(nn.Module):
    """Encoder and decoder; attribute names are the published keys (after ``fold_weights``)."""

    def __init__(
        self,
        params: VAEParams,
        *,
        operations: Operations = nn,  # pyright: ignore[reportArgumentType]
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.params = params
        make = LayerFactory(operations, device, dtype)
        self.data_mean = bare(1, params.mels, 1, device=device, dtype=dtype)
        self.data_std = bare(1, params.mels, 1, device=device, dtype=dtype)
        self.encoder = Encoder(make, params)
        self.decoder = Decoder(make, params)

    def steps(self) -> list[nn.Module]:
        return [m for m in self.modules() if isinstance(m, ResidualBlock | Attention | Upsample)]

    def decode(self, z: Tensor) -> Tensor:
        """Latents (B, latent_dim, N) to log mel (B, mels, 2N)."""
        return self._mel(self.decoder(z))

    def pieces(self, z: Tensor, longest: int) -> Iterator[Tensor]:
        """``decode(z)`` one piece after another, each of at most ``longest`` latents.

        The attention of a piece sees the ``NEIGHBOURS`` pieces on either side of it, and no more:
        up to 2 * NEIGHBOURS + 1 pieces can be what is whole.
        """
        parts = chunk_bounds(z.shape[-1], longest)
        for (start, stop), seen in zip(parts, _seen(self.decoder, z, parts), strict=True):
            yield self._mel(run_chunk(self.decoder.parts(seen), z, (2 * start, 2 * stop)))

    def mean_pieces(self, mel: Tensor, longest: int) -> Iterator[Tensor]:
        """The mean of ``encode(mel)`` one piece after another, as ``pieces``."""
        y = self._normalised(mel)
        parts = chunk_bounds(mel.shape[-1] // 2, longest)
        for span, seen in zip(parts, _seen(self.encoder, y, parts), strict=True):
            yield run_chunk(self.encoder.parts(seen), y, span).chunk(2, dim=1)[0]

    def _mel(self, y: Tensor) -> Tensor:
        return y * cast(self.data_std, y) + cast(self.data_mean, y)

    def encode(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Log mel (B, mels, 2N) to mean and log variance, each (B, latent_dim, N)."""
        mean, logvar = self.encoder(self._normalised(mel)).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)

    def _normalised(self, mel: Tensor) -> Tensor:
        return (mel - cast(self.data_mean, mel)) / cast(self.data_std, mel)


def _seen(
    network: Decoder | Encoder, x: Tensor, parts: Sequence[tuple[int, int]]
) -> Iterator[KeysValues | None]:
    """What the attention of each part sees, made once a part and kept as long as it is needed.

    None: the part is the whole.
    """
    if len(parts) == 1:
        yield None
        return
    before, attention = network.before(), network.mid.attn_1
    held: deque[KeysValues] = deque(maxlen=2 * NEIGHBOURS + 1)
    longest = max(stop - start for start, stop in parts)
    room = longest * min(len(parts), 2 * NEIGHBOURS + 1)
    keys, values = (x.new_empty(x.shape[0], room, attention.width) for _ in range(2))
    made = 0
    for index in range(len(parts)):
        while made < min(index + NEIGHBOURS + 1, len(parts)):
            held.append(attention.keys_values(run_chunk(before, x, parts[made])))
            made += 1
        length = 0
        for k, v in list(held)[max(0, index - NEIGHBOURS) - made :]:
            some = slice(length, length + k.shape[1])
            keys[:, some], values[:, some] = k, v
            length += k.shape[1]
        yield keys[:, :length], values[:, :length]
