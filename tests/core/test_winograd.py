"""Winograd convolution: the same result with less work, and only where it is faster."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmaudio_core.models.kernels.winograd import convolve, winograd_conv1d
from tests.golden_files import relative_error

ROUNDING = 2e-6  # of float32; a plain convolution is off by 2e-7, and Winograd's by 8e-7
WinogradConv1d = winograd_conv1d(nn.Conv1d)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain(x: Tensor, weight: Tensor, dilation: int = 1) -> Tensor:
    """In float64."""
    padding = weight.shape[-1] // 2 * dilation
    return nn.functional.conv1d(x.double(), weight.double(), padding=padding, dilation=dilation)


def layers(channels: int, taps: int, dilation: int = 1) -> tuple[nn.Conv1d, nn.Conv1d]:
    """Torch's and ours, with the same weights."""
    padding = taps // 2 * dilation
    torchs, ours = (
        conv(channels, channels, taps, padding=padding, dilation=dilation)
        for conv in (nn.Conv1d, WinogradConv1d)
    )
    ours.load_state_dict(torchs.state_dict())
    return torchs, ours


def flops(layer: nn.Module, x: Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        layer(x)
    return counter.get_total_flops()


@pytest.mark.parametrize("dilation", [1, 3, 5])
@pytest.mark.parametrize("taps", [3, 7, 11])
@pytest.mark.parametrize(("inputs", "outputs", "length"), [(192, 200, 1000), (3, 2, 1), (5, 4, 61)])
def test_result_is_that_of_the_plain_convolution(
    inputs: int, outputs: int, length: int, taps: int, dilation: int
):
    x, weight = noise(1, inputs, length), noise(outputs, inputs, taps, seed=1)
    result = convolve(x, weight, dilation)
    assert result.shape == (1, outputs, length)
    assert relative_error(result, plain(x, weight, dilation)) < ROUNDING


@pytest.mark.parametrize(("taps", "share"), [(7, 0.58), (11, 0.56)])
def test_large_layer_takes_little_more_than_half_the_work(taps: int, share: float):
    layer, ours = layers(192, taps, 3)
    x = noise(1, 192, 3000)
    with torch.no_grad():
        assert relative_error(ours(x), layer(x)) < ROUNDING
        assert flops(ours, x) < share * flops(layer, x)


@pytest.mark.parametrize(
    ("channels", "taps", "batch", "length"),
    [(192, 3, 1, 3000), (191, 7, 1, 3000), (192, 7, 2, 3000), (192, 7, 1, 252)],
)
def test_other_layers_are_computed_by_torch(channels: int, taps: int, batch: int, length: int):
    layer, ours = layers(channels, taps)
    x = noise(batch, channels, length)
    with torch.no_grad():
        assert torch.equal(ours(x), layer(x))


@pytest.mark.parametrize(
    ("option", "value"),
    [("groups", 1), ("groups", 2), ("stride", 2), ("padding_mode", "circular"), ("padding", 2)],
)
def test_other_kinds_of_convolution_are_computed_by_torch(option: str, value: int | str):
    options = {"padding": 3, option: value}
    layer, ours = (conv(384, 384, 7, **options) for conv in (nn.Conv1d, WinogradConv1d))
    ours.load_state_dict(layer.state_dict())
    x = noise(1, 384, 1000)
    with torch.no_grad():
        is_plain = option == "groups" and value == 1  # all that Winograd supports
        assert torch.equal(ours(x), layer(x)) is not is_plain


def test_training_and_half_precision_are_computed_by_torch():
    layer, ours = layers(192, 7)
    x = noise(1, 192, 3000)
    assert torch.equal(ours(x), layer(x))
    with torch.no_grad():
        assert not torch.equal(ours(x), layer(x))
        assert torch.equal(ours.bfloat16()(x.bfloat16()), layer.bfloat16()(x.bfloat16()))


def test_weights_that_a_host_patches_at_use_take_effect():
    class Patched(nn.Conv1d):
        def forward(self, input: Tensor) -> Tensor:
            return self._conv_forward(input, self.weight * 2, None)

    layer = winograd_conv1d(Patched)(192, 192, 7, padding=3)
    x = noise(1, 192, 3000)
    with torch.no_grad():
        assert flops(layer, x) < 0.58 * 2 * 3000 * 192 * 192 * 7
        assert relative_error(layer(x), plain(x, layer.weight * 2)) < ROUNDING
