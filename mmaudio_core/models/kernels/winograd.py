"""Convolution along time with fewer multiplications, in float32 on a CPU.

Winograd's minimal filtering (Lavin & Gray, arXiv 1509.09308): 4 outputs of a filter of r taps are a
product of polynomials, which costs 4 + r - 1 multiplications, one a point at which both are taken,
and not 4 r: 6 for 12, or 7 for 16. Longer filters are sums of filters of 4 taps, each a tile of 4
further on, and a dilated one is as many interleaved ones. The results differ from a plain
convolution's as float32 makes them, by about 1e-6 of their size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TILE = 4  # outputs
_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, -0.5)  # as many as are needed, and infinity
_ROWS_BLOCK, _CHANNELS_BLOCK = 128, 192  # output channels at a time
_APART = 32  # numbers
# Where it is faster: below, the transforms cost what they save.
_LEAST_TILES, _LEAST_WEIGHTS, _LEAST_CHANNELS = 64, 1 << 19, 192


@dataclass(frozen=True, kw_only=True)
class _Filtering:
    """``outputs @ ((filters @ w) * (inputs @ x))``: 4 outputs of a filter of some taps.

    Attributes:
        inputs: (P, P), what is done to P = 4 + taps - 1 samples.
        filters: (P, taps).
        outputs: (4, P).
    """

    inputs: Tensor
    filters: Tensor
    outputs: Tensor

    @classmethod
    def of(cls, taps: int) -> _Filtering:
        points = _TILE + taps - 1
        finite = torch.tensor(_POINTS[: points - 1], dtype=torch.float64)[:, None]

        def powers(count: int) -> Tensor:
            return torch.cat((finite ** torch.arange(count), torch.eye(count)[-1:].double()))

        return cls(
            inputs=torch.inverse(powers(points)).T.float().contiguous(),
            filters=powers(taps).float(),
            outputs=powers(_TILE).T.float().contiguous(),
        )

    @property
    def points(self) -> int:
        return len(self.inputs)

    def take(self, tiles: Tensor) -> Tensor:
        """Samples (4, ..., tiles + 1, n) of tiles and one more at the points: (P, numbers)."""
        within, beyond = tiles[..., :-1, :], tiles[: self.points - _TILE, ..., 1:, :]
        taken = torch.mm(self.inputs[:, :_TILE], within.reshape(_TILE, -1))
        return taken.addmm_(self.inputs[:, _TILE:], beyond.reshape(len(beyond), -1))


_THREE, _FOUR = _Filtering.of(3), _Filtering.of(4)


def rows(x: Tensor, weight: Tensor) -> Tensor:
    """Same-padded convolution of 3 taps over L: (B, L, C), (O, C, 3) -> (B, L, O)."""
    (batch, length, channels), outputs = x.shape, weight.shape[0]
    points, tiles = _THREE.points, -(-length // _TILE)
    padded = x.new_zeros(batch, (tiles + 1) * _TILE, channels)
    padded[:, 1 : 1 + length] = x
    samples = padded.view(batch, tiles + 1, _TILE, channels).permute(2, 0, 1, 3)
    taken = _THREE.take(samples).view(points, batch * tiles, channels)

    made = x.new_empty(batch, tiles, _TILE, outputs)
    size = min(_ROWS_BLOCK, outputs)
    filters, held = torch.split(_planes(x, points + 1, size * channels), [points, 1])
    products = x.new_empty(points * batch * tiles * size)
    results = _planes(x, _TILE, batch * tiles * size)
    for first in range(0, outputs, size):
        some = weight[first : first + size]
        count = len(some)
        numbers = count * channels
        at = filters[:, :numbers].view(points, count, channels)
        _three_at_points(some, at, held[0, :numbers].view(count, channels))
        product = products[: points * batch * tiles * count].view(points, -1, count)
        torch.bmm(taken, at.transpose(1, 2), out=product)
        result = results[:, : batch * tiles * count]
        torch.mm(_THREE.outputs, product.flatten(1), out=result)
        block = result.view(_TILE, batch, tiles, count).permute(1, 2, 0, 3)
        made[..., first : first + count] = block
    return made.flatten(1, 2)[:, :length]


def _three_at_points(weight: Tensor, out: Tensor, held: Tensor) -> None:
    """``_THREE.filters`` on the taps of (O, C, 3) into (6, O, C): as sums, which share some."""
    first, second, third = weight.unbind(-1)
    out[0], out[-1] = first, third
    for pair, size in ((1, 1), (3, 2)):  # the points size and -size
        torch.add(first, third, alpha=size * size, out=held)
        torch.add(held, second, alpha=size, out=out[pair])
        torch.sub(held, second, alpha=size, out=out[pair + 1])


def channels(x: Tensor, weight: Tensor, dilation: int = 1) -> Tensor:
    """Same-padded convolution of an odd number of taps: (1, C, L), (O, C, k) -> (1, O, L)."""
    (_, inputs, length), (outputs, _, width) = x.shape, weight.shape
    points, groups = _FOUR.points, -(-width // 4)
    before, span = width // 2 * dilation, _TILE * dilation
    tiles = -(-length // span)
    padded = x.new_zeros(inputs, (tiles + groups) * span)
    padded[:, before : before + length] = x[0]
    samples = padded.view(inputs, tiles + groups, _TILE, dilation).permute(2, 0, 1, 3)
    taken = _FOUR.take(samples).view(1, points * inputs, -1)

    made = x.new_empty(outputs, tiles, _TILE, dilation)
    size = min(_CHANNELS_BLOCK, outputs)
    taps = _planes(x, 4, size * inputs * groups).zero_()  # the last group may lack some
    filters = x.new_empty(points * size * inputs * groups)
    results = _planes(x, _TILE, size * tiles * dilation)
    for first in range(0, outputs, size):
        some = weight[first : first + size]
        count = len(some)
        numbers = count * inputs * groups
        tap = taps[:, :numbers].view(4, count, inputs, groups)
        for number in range(4):
            of_groups = some[..., number::4]
            tap[number, ..., : of_groups.shape[-1]] = of_groups
        kernel = filters[: points * numbers]
        torch.mm(_FOUR.filters, taps[:, :numbers], out=kernel.view(points, numbers))
        kernel = kernel.view(points * count, inputs, groups)
        product = F.conv1d(taken, kernel, groups=points, dilation=dilation)
        result = results[:, : count * tiles * dilation]
        torch.mm(_FOUR.outputs, product.view(points, -1), out=result)
        block = result.view(_TILE, count, tiles, dilation).permute(1, 2, 0, 3)
        made[first : first + count] = block
    return made.view(1, outputs, -1)[..., :length]


def _planes(like: Tensor, count: int, numbers: int) -> Tensor:
    """(count, numbers), not filled; planes a multiple of 4 KB apart would evict each other."""
    return like.new_empty(count, numbers + _APART)[:, :numbers]


@cache
def winograd_conv1d(conv: type[nn.Conv1d]) -> type[nn.Conv1d]:
    """A Conv1d class (torch's or ComfyUI's) that computes as above where that is faster.

    It overrides what both call once the weights are in place, so their patches and casts hold.
    """

    class Conv1d(conv):
        def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            made = _convolved(self, input, weight) if _may(self, input, weight) else None
            if made is None:
                return conv._conv_forward(self, input, weight, bias)
            return made if bias is None else made.add_(bias[:, None])

    return Conv1d


def _may(layer: nn.Conv1d, x: Tensor, weight: Tensor) -> bool:
    """Whether it is a same-padded convolution in float32 on a CPU, neither trained nor compiled."""
    width, dilation = layer.kernel_size[0], layer.dilation[0]
    padded = (layer.padding_mode, layer.padding) == ("zeros", (width // 2 * dilation,))
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and padded
        and width % 2 == 1
        and layer.stride == (1,)
        and layer.groups == 1
    )


def _convolved(layer: nn.Conv1d, x: Tensor, weight: Tensor) -> Tensor | None:
    """(B, C, L) -> (B, O, L); None where a plain convolution is as fast."""
    (batch, inputs, length), (outputs, _, width) = x.shape, weight.shape
    dilation = layer.dilation[0]
    tiles = batch * -(-length // (_TILE * dilation))
    if tiles < _LEAST_TILES:
        return None
    if (width, dilation) == (3, 1) and x.stride(1) == 1:  # rows of channels, transposed
        large = inputs * outputs >= _LEAST_WEIGHTS
        return rows(x.transpose(1, 2), weight).transpose(1, 2) if large else None
    if width >= 7 and batch == 1 and min(inputs, outputs) >= _LEAST_CHANNELS:
        return channels(x, weight, dilation)
    return None
