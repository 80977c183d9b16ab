"""BigVGAN v1 and v2, the vocoders: mel spectrogram to waveform (Lee et al., arXiv 2206.04658).

One class for both: rates, widths and the final nonlinearity are inferred from the checkpoint. The
loader folds weight norm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ..chunked import LocalOp, chunk_bounds, run_chunk, run_full
from ..kernels.winograd import winograd_conv1d
from ..ops import TORCH_OPERATIONS, LayerFactory, Operations
from ..shapes import CheckpointShapes
from .activation import AntiAliasedActivation
from .fir import ACTIVATION_RADIUS

_DILATIONS = (1, 3, 5)
_END_KERNEL = 7  # of the first and the last convolution
FLOAT32_SUFFIXES = (".filter", ".alpha", ".beta")  # parameters of the activations


@dataclass(frozen=True, kw_only=True)
class BigVGANParams:
    """Architecture of a vocoder.

    Attributes:
        mels: mel bands.
        width: channels before the first stage; each stage halves them.
        rates: upsampling factor of each stage.
        kernels: kernel size of each AMP block of a stage.
        tanh: the output has a bias and a tanh (v1), rather than a clamp (v2).
    """

    mels: int
    width: int
    rates: tuple[int, ...]
    kernels: tuple[int, ...]
    tanh: bool

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> BigVGANParams:
        """Infer the architecture from a state dict's shapes (weight norm folded).

        Raises:
            CheckpointError: a shape is missing or does not fit this architecture.
        """
        found = CheckpointShapes(network="BigVGAN vocoder", shapes=shapes)
        width, mels, _ = found.shape("conv_pre.weight", None, None, _END_KERNEL)
        stages = found.block_count("ups")
        branches = found.block_count("resblocks") // stages
        return cls(
            mels=mels,
            width=width,
            rates=tuple(
                found.shape(f"ups.{i}.0.weight", None, None, None)[2] // 2 for i in range(stages)
            ),
            kernels=tuple(
                found.shape(f"resblocks.{i}.convs1.0.weight", None, None, None)[2]
                for i in range(branches)
            ),
            tanh="conv_post.bias" in shapes,
        )

    @property
    def hop(self) -> int:
        """Samples per mel frame."""
        return math.prod(self.rates)

    def stage_radius(self, rate: int) -> int:
        """See ``LocalOp.radius``: that of a transposed convolution and the widest AMP block."""
        kernel = max(self.kernels) // 2
        block = sum(kernel * dilation + kernel + 2 * ACTIVATION_RADIUS for dilation in _DILATIONS)
        return rate // 2 + block


class AMPBlock(nn.Module):
    """Dilated residual convolutions with anti-aliased activations: (B, C, T) -> (B, C, T).

    The running sum is float32; the convolutions compute in ``dtype``.
    """

    def __init__(self, make: LayerFactory, channels: int, kernel: int) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Module:
            return winograd_conv1d(make.operations.Conv1d)(
                channels,
                channels,
                kernel,
                padding=kernel // 2 * dilation,
                dilation=dilation,
                device=make.device,
                dtype=make.dtype,
            )

        self.convs1 = nn.ModuleList([conv(dilation) for dilation in _DILATIONS])
        self.convs2 = nn.ModuleList([conv(1) for _ in _DILATIONS])
        self.activations = nn.ModuleList(
            [AntiAliasedActivation(make, channels) for _ in range(2 * len(_DILATIONS))]
        )

    def forward(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        for i, (conv1, conv2) in enumerate(zip(self.convs1, self.convs2, strict=True)):
            h = conv1(self.activations[2 * i](x, dtype))
            x = conv2(self.activations[2 * i + 1](h, dtype)).float().add_(x)
        return x


class BigVGAN(nn.Module):
    """The vocoder; attribute names are the published keys."""

    def __init__(
        self,
        params: BigVGANParams,
        *,
        operations: Operations = TORCH_OPERATIONS,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.params = params
        make = LayerFactory(operations, device, dtype)
        self.conv_pre = make.conv1d(params.mels, params.width, _END_KERNEL)
        widths = [params.width >> i for i in range(len(params.rates) + 1)]
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for rate, inputs, width in zip(params.rates, widths, widths[1:], strict=False):
            up = operations.ConvTranspose1d(
                inputs, width, 2 * rate, rate, padding=rate // 2, device=device, dtype=dtype
            )
            self.ups.append(nn.ModuleList([up]))
            for kernel in params.kernels:
                self.resblocks.append(AMPBlock(make, width, kernel))
        self.activation_post = AntiAliasedActivation(make, widths[-1])
        self.conv_post = make.conv1d(widths[-1], 1, _END_KERNEL, bias=params.tanh)

    def interruptible_modules(self) -> list[nn.Module]:
        """See ``progress.Interruptible``."""
        return list(self.resblocks)

    def ops(self, dtype: torch.dtype) -> list[LocalOp]:
        """The network on log mel (B, mels, L) of ``dtype``, as local operations."""
        stages = [
            LocalOp(
                run=partial(self._stage, i, dtype), up=rate, radius=self.params.stage_radius(rate)
            )
            for i, rate in enumerate(self.params.rates)
        ]
        return [
            LocalOp(run=self.conv_pre, radius=_END_KERNEL // 2),
            *stages,
            LocalOp(run=partial(self._end, dtype), radius=ACTIVATION_RADIUS + _END_KERNEL // 2),
        ]

    def forward(self, mel: Tensor) -> Tensor:
        """Log mel (B, mels, L) to waveform (B, 1, L * hop) in [-1, 1], in the mel's dtype."""
        return run_full(self.ops(mel.dtype), mel)

    def decode_chunks(self, mel: Tensor, longest: int) -> Iterator[Tensor]:
        """``forward(mel)`` in consecutive chunks, each of at most ``longest`` frames."""
        ops, hop = self.ops(mel.dtype), self.params.hop
        for start, stop in chunk_bounds(mel.shape[-1], longest):
            yield run_chunk(ops, mel, (start * hop, stop * hop))

    def _stage(self, stage: int, dtype: torch.dtype, x: Tensor) -> Tensor:
        """Upsample, then the mean of the stage's AMP blocks, in float32."""
        up: nn.Module = self.ups[stage].get_submodule("0")
        x = up(x.to(dtype)).float()
        branches = len(self.params.kernels)
        first, *others = self.resblocks[stage * branches : (stage + 1) * branches]
        total: Tensor = first(x, dtype)
        for block in others:
            total = block(x, dtype).add_(total)
        return total.div_(branches)

    def _end(self, dtype: torch.dtype, x: Tensor) -> Tensor:
        x = self.conv_post(self.activation_post(x, dtype))
        return torch.tanh(x) if self.params.tanh else x.clamp(-1, 1)
