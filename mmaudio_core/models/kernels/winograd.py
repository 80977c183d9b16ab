"""Conv1d with fewer multiplications, for float32 on a CPU.

Winograd's minimal filtering (Lavin & Gray, arXiv 1509.09308): the 4 outputs of a filter with 4 taps
are a product of polynomials, which takes 7 multiplications (one for each point at which both
polynomials are evaluated) instead of 16. A longer filter is a sum of filters with 4 taps, each
shifted by one tile, and a dilated filter is applied to interleaved signals. Results differ from
those of a plain convolution only by float32 rounding, about 1e-6 of their size.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TILE = 4  # outputs, and taps of a filter group
_FINITE_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, -0.5)  # the seventh point is infinity
_POINTS = len(_FINITE_POINTS) + 1
_OUTPUT_BLOCK = 192  # output channels that are computed at a time
_PLANE_GAP = 32  # numbers between two planes
# Smaller convolutions are faster without: the transforms cost more than they save.
_MIN_TILES, _MIN_CHANNELS, _MIN_TAPS = 64, 192, 7


def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Matrices such that ``outputs @ ((filters @ w) * (inputs @ x))`` convolves x with w.

    Shapes: (7, 7) for 7 input samples, (7, 4) for 4 taps, (4, 7) for 4 outputs.
    """
    points = torch.tensor(_FINITE_POINTS, dtype=torch.float64)[:, None]

    def powers(count: int) -> Tensor:
        return torch.cat((points ** torch.arange(count), torch.eye(count)[-1:].double()))

    inputs = torch.inverse(powers(_POINTS)).T
    outputs = powers(_TILE).T
    return inputs.float().contiguous(), powers(_TILE).float(), outputs.float().contiguous()


_INPUT_TRANSFORM, _FILTER_TRANSFORM, _OUTPUT_TRANSFORM = _transforms()


def convolve(x: Tensor, weight: Tensor, dilation: int = 1) -> Tensor:
    """Length-preserving convolution with an odd number of taps.

    Args:
        x: (1, C, L) float32.
        weight: (O, C, taps) float32.
        dilation: samples between two taps.

    Returns:
        (1, O, L).
    """
    (_, inputs, length), (outputs, _, taps) = x.shape, weight.shape
    groups = -(-taps // _TILE)
    span = _TILE * dilation
    tiles = -(-length // span)
    start = taps // 2 * dilation
    padded = x.new_zeros(inputs, (tiles + groups) * span)
    padded[:, start : start + length] = x[0]
    samples = padded.view(inputs, tiles + groups, _TILE, dilation).permute(2, 0, 1, 3)
    at_points = _evaluate_inputs(samples).view(1, _POINTS * inputs, -1)

    result = x.new_empty(outputs, tiles, _TILE, dilation)
    block = min(_OUTPUT_BLOCK, outputs)
    filter_taps = _planes(x, _TILE, block * inputs * groups).zero_()  # the last group may be short
    filters = x.new_empty(_POINTS * block * inputs * groups)
    tile_outputs = _planes(x, _TILE, block * tiles * dilation)
    for first in range(0, outputs, block):
        weights = weight[first : first + block]
        count = len(weights)
        size = count * inputs * groups
        grouped = filter_taps[:, :size].view(_TILE, count, inputs, groups)
        for tap in range(_TILE):
            nth_taps = weights[..., tap::_TILE]
            grouped[tap, ..., : nth_taps.shape[-1]] = nth_taps
        kernel = filters[: _POINTS * size]
        torch.mm(_FILTER_TRANSFORM, filter_taps[:, :size], out=kernel.view(_POINTS, size))
        kernel = kernel.view(_POINTS * count, inputs, groups)
        product = F.conv1d(at_points, kernel, groups=_POINTS, dilation=dilation)
        out = tile_outputs[:, : count * tiles * dilation]
        torch.mm(_OUTPUT_TRANSFORM, product.view(_POINTS, -1), out=out)
        out = out.view(_TILE, count, tiles, dilation).permute(1, 2, 0, 3)
        result[first : first + count] = out
    return result.view(1, outputs, -1)[..., :length]


def _evaluate_inputs(samples: Tensor) -> Tensor:
    """The input transform of each tile: (4, C, tiles + 1, dilation) -> (7, C * tiles * dilation).

    It takes the 4 samples of the tile and the first 3 of the next tile.
    """
    own, following = samples[..., :-1, :], samples[: _POINTS - _TILE, ..., 1:, :]
    result = torch.mm(_INPUT_TRANSFORM[:, :_TILE], own.reshape(_TILE, -1))
    return result.addmm_(_INPUT_TRANSFORM[:, _TILE:], following.reshape(len(following), -1))


def _planes(like: Tensor, count: int, size: int) -> Tensor:
    """(count, size) uninitialized; rows a multiple of 4 KB apart would evict each other's cache."""
    return like.new_empty(count, size + _PLANE_GAP)[:, :size]


@cache
def winograd_conv1d(conv: type[nn.Conv1d]) -> type[nn.Conv1d]:
    """A subclass of a Conv1d class (torch's or ComfyUI's) that uses ``convolve`` where faster.

    It overrides the method that both call once the weights are in place, so that a host's patches
    and casts of the weights take effect.
    """

    class Conv1d(conv):
        def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            if not (_is_supported(self, input, weight) and _is_faster(self, input)):
                return conv._conv_forward(self, input, weight, bias)
            result = convolve(input, weight, self.dilation[0])
            return result if bias is None else result.add_(bias[:, None])

    return Conv1d


def _is_supported(layer: nn.Conv1d, x: Tensor, weight: Tensor) -> bool:
    """Whether ``convolve`` computes this layer: length-preserving, float32 on a CPU, inference."""
    taps, dilation = layer.kernel_size[0], layer.dilation[0]
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and len(x) == 1
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and layer.padding_mode == "zeros"
        and layer.padding == (taps // 2 * dilation,)
        and taps % 2 == 1
        and layer.stride == (1,)
        and layer.groups == 1
    )


def _is_faster(layer: nn.Conv1d, x: Tensor) -> bool:
    taps, dilation = layer.kernel_size[0], layer.dilation[0]
    tiles = -(-x.shape[-1] // (_TILE * dilation))
    channels = min(layer.in_channels, layer.out_channels)
    return tiles >= _MIN_TILES and channels >= _MIN_CHANNELS and taps >= _MIN_TAPS
