"""Convolution with fewer multiplications: the same result, and only where it is meant."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmaudio_core.models.kernels.winograd import channels, rows, winograd_conv1d
from tests.golden_files import relative_error

ROUNDING = 2e-6  # of float32; a plain convolution is off by 2e-7, and Winograd's by 8e-7
Counted = winograd_conv1d(nn.Conv1d)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain(x: Tensor, weight: Tensor, dilation: int = 1) -> Tensor:
    """In float64."""
    padding = weight.shape[-1] // 2 * dilation
    return nn.functional.conv1d(x.double(), weight.double(), padding=padding, dilation=dilation)


def layers(inputs: int, outputs: int, width: int, dilation: int = 1) -> tuple[nn.Conv1d, nn.Conv1d]:
    """Torch's and ours, with the same weights."""
    padding = width // 2 * dilation
    made = [
        conv(inputs, outputs, width, padding=padding, dilation=dilation)
        for conv in (nn.Conv1d, Counted)
    ]
    made[1].load_state_dict(made[0].state_dict())
    return made[0], made[1]


def flops(layer: nn.Module, x: Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        layer(x)
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("batch", "length", "inputs", "outputs"),
    [(2, 345, 448, 700), (1, 1, 2, 3), (3, 64, 5, 129), (1, 7, 3, 128)],
)
def test_rows_are_the_plain_convolution(batch: int, length: int, inputs: int, outputs: int):
    x, weight = noise(batch, length, inputs), noise(outputs, inputs, 3, seed=1)
    made = rows(x, weight)
    assert made.shape == (batch, length, outputs)
    assert relative_error(made, plain(x.transpose(1, 2), weight).transpose(1, 2)) < ROUNDING


@pytest.mark.parametrize("dilation", [1, 3, 5])
@pytest.mark.parametrize("width", [3, 7, 11])
@pytest.mark.parametrize(("inputs", "outputs", "length"), [(192, 200, 1000), (3, 2, 1), (5, 4, 61)])
def test_channels_are_the_plain_convolution(
    inputs: int, outputs: int, length: int, width: int, dilation: int
):
    x, weight = noise(1, inputs, length), noise(outputs, inputs, width, seed=1)
    made = channels(x, weight, dilation)
    assert made.shape == (1, outputs, length)
    assert relative_error(made, plain(x, weight, dilation)) < ROUNDING


def test_a_layer_of_the_flow_network_does_half_the_work():
    layer, ours = layers(640, 896, 3)
    x = noise(2, 345, 640).transpose(1, 2)  # rows of channels, as the network has them
    with torch.no_grad():
        assert relative_error(ours(x), layer(x)) < ROUNDING
        assert flops(ours, x) < 0.53 * flops(layer, x)


@pytest.mark.parametrize(("width", "share"), [(7, 0.58), (11, 0.56)])
def test_a_layer_of_the_vocoder_does_little_more_than_half_the_work(width: int, share: float):
    layer, ours = layers(192, 192, width, 3)
    x = noise(1, 192, 3000)
    with torch.no_grad():
        assert relative_error(ours(x), layer(x)) < ROUNDING
        assert flops(ours, x) < share * flops(layer, x)


def test_all_else_is_torchs_own():
    large, small = layers(640, 896, 3), layers(64, 64, 3)
    x, y = noise(2, 345, 640).transpose(1, 2), noise(2, 345, 64).transpose(1, 2)
    assert torch.equal(large[1](x), large[0](x))  # gradients are wanted
    with torch.no_grad():
        assert torch.equal(small[1](y), small[0](y))
        assert torch.equal(large[1](x.contiguous()), large[0](x.contiguous()))
        half = large[1].bfloat16()(x.bfloat16())
        assert torch.equal(half, large[0].bfloat16()(x.bfloat16()))


def test_a_host_that_casts_and_patches_weights_at_use_is_heard():
    class Patched(nn.Conv1d):
        def forward(self, input: Tensor) -> Tensor:
            return self._conv_forward(input, self.weight * 2, None)

    layer = winograd_conv1d(Patched)(640, 896, 3, padding=1)
    x = noise(1, 345, 640).transpose(1, 2)
    with torch.no_grad():
        assert flops(layer, x) < 0.53 * 2 * 345 * 640 * 896 * 3
        assert relative_error(layer(x), plain(x, layer.weight * 2)) < ROUNDING
