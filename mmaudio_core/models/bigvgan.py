"""BigVGAN v1 and v2, the vocoders: mel spectrogram to waveform (arXiv 2206.04658).

One class for both: rates, widths and the kind of output are read off the checkpoint. Weight norm
is folded by the loader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .alias_free import AliasFreeActivation
from .ops import Operations
from .shapes import Shapes

_DILATIONS = (1, 3, 5)
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
        width, mels, _ = got.of("conv_pre.weight", None, None, 7)
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
            return operations.Conv1d(
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
            h = conv1(self.activations[2 * i](x).to(dtype))
            x = x + conv2(self.activations[2 * i + 1](h).to(dtype))
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
        ends = {"kernel_size": 7, "padding": 3, "device": device, "dtype": dtype}
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

    def forward(self, mel: Tensor) -> Tensor:
        """Log mel (B, mels, L) to waveform (B, 1, L * hop) in [-1, 1], in the mel's dtype."""
        dtype = mel.dtype
        x = self.conv_pre(mel)
        branches = len(self.params.kernels)
        for stage, up in enumerate(self.ups):
            raised: Tensor = up[0](x.to(dtype))  # pyright: ignore[reportIndexIssue]
            x = raised.float()
            blocks = self.resblocks[stage * branches : (stage + 1) * branches]
            x = torch.stack([block(x, dtype) for block in blocks]).mean(dim=0)
        x = self.conv_post(self.activation_post(x).to(dtype))
        return torch.tanh(x) if self.params.tanh else x.clamp(-1, 1)
