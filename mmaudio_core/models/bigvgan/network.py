"""BigVGAN v1 and v2, the vocoders: mel spectrogram to waveform (arXiv 2206.04658).

One class for both: rates, widths and the kind of output are read off the checkpoint. Weight norm
is folded by the loader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ..chunked import LocalOp, chunk_bounds, run_chunk, run_full
from ..kernels.winograd import winograd_conv1d
from ..ops import Operations
from ..shapes import Shapes
from .activation import REACH, AliasFreeActivation

_DILATIONS = (1, 3, 5)
_ENDS = 7  # kernel of the first and the last convolution
FLOAT32_SUFFIXES = (".filter", ".alpha", ".beta")  # what the activations compute with


@dataclass(frozen=True, kw_only=True)
class BigVGANParams:
    """Architecture of a vocoder."""

    mels: int
    width: int
    rates: tuple[int, ...]
    kernels: tuple[int, ...]  # of the AMP blocks
    tanh: bool  # v1: bias and tanh at the end; v2: neither, but a clamp

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> BigVGANParams:
        """Read the architecture off a state dict's shapes (weight norm folded).

        Raises:
            CheckpointError: a shape is missing or is not one this architecture has.
        """
        got = Shapes(network="BigVGAN vocoder", shapes=shapes)
        width, mels, _ = got.of("conv_pre.weight", None, None, _ENDS)
        stages = got.depth("ups")
        branches = got.depth("resblocks") // stages
        return cls(
            mels=mels,
            width=width,
            rates=tuple(
                got.of(f"ups.{i}.0.weight", None, None, None)[2] // 2 for i in range(stages)
            ),
            kernels=tuple(
                got.of(f"resblocks.{i}.convs1.0.weight", None, None, None)[2]
                for i in range(branches)
            ),
            tanh="conv_post.bias" in shapes,
        )

    @property
    def hop(self) -> int:
        """Samples a mel frame."""
        hop = 1
        for rate in self.rates:
            hop *= rate
        return hop

    def reach(self, rate: int) -> int:
        """How far a stage sees, in its outputs: its transposed convolution and its widest block."""
        around = max(self.kernels) // 2
        blocks = sum(around * dilation + around + 2 * REACH for dilation in _DILATIONS)
        return rate // 2 + blocks


class AMPBlock(nn.Module):
    """Dilated residual convolutions with alias-free activations: (B, C, T) -> (B, C, T).

    The sum that runs through them is float32; the convolutions compute in ``dtype``.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        *,
        operations: Operations,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Module:
            return winograd_conv1d(operations.Conv1d)(
                channels,
                channels,
                kernel,
                padding=(kernel - 1) // 2 * dilation,
                dilation=dilation,
                device=device,
                dtype=dtype,
            )

        self.convs1 = nn.ModuleList([conv(dilation) for dilation in _DILATIONS])
        self.convs2 = nn.ModuleList([conv(1) for _ in _DILATIONS])
        self.activations = nn.ModuleList(
            [
                AliasFreeActivation(channels, device=device, dtype=dtype)
                for _ in range(2 * len(_DILATIONS))
            ]
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
        operations: Operations = nn,  # pyright: ignore[reportArgumentType]
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.params = params
        ends = {"kernel_size": _ENDS, "padding": _ENDS // 2, "device": device, "dtype": dtype}
        self.conv_pre = operations.Conv1d(params.mels, params.width, **ends)
        widths = [params.width >> i for i in range(len(params.rates) + 1)]
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for rate, above, width in zip(params.rates, widths, widths[1:], strict=False):
            up = operations.ConvTranspose1d(
                above, width, 2 * rate, rate, padding=rate // 2, device=device, dtype=dtype
            )
            self.ups.append(nn.ModuleList([up]))
            for kernel in params.kernels:
                self.resblocks.append(
                    AMPBlock(width, kernel, operations=operations, device=device, dtype=dtype)
                )
        self.activation_post = AliasFreeActivation(widths[-1], device=device, dtype=dtype)
        self.conv_post = operations.Conv1d(widths[-1], 1, bias=params.tanh, **ends)

    def steps(self) -> list[nn.Module]:
        return list(self.resblocks)

    def parts(self, dtype: torch.dtype) -> list[LocalOp]:
        """Log mel (B, mels, L) to waveform, as steps that are local; ``dtype``: of the mel."""
        around = _ENDS // 2
        stages = [
            LocalOp(run=partial(self._stage, i, dtype), up=rate, reach=self.params.reach(rate))
            for i, rate in enumerate(self.params.rates)
        ]
        return [
            LocalOp(run=self.conv_pre, reach=around),
            *stages,
            LocalOp(run=partial(self._end, dtype), reach=REACH + around),
        ]

    def forward(self, mel: Tensor) -> Tensor:
        """Log mel (B, mels, L) to waveform (B, 1, L * hop) in [-1, 1], in the mel's dtype."""
        return run_full(self.parts(mel.dtype), mel)

    def pieces(self, mel: Tensor, longest: int) -> Iterator[Tensor]:
        """``forward(mel)`` one piece after another, each of at most ``longest`` frames."""
        steps, hop = self.parts(mel.dtype), self.params.hop
        for start, stop in chunk_bounds(mel.shape[-1], longest):
            yield run_chunk(steps, mel, (start * hop, stop * hop))

    def _stage(self, stage: int, dtype: torch.dtype, x: Tensor) -> Tensor:
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
