"""BigVGAN v1 and v2 against the published implementation, on tiny seeded weights."""

from __future__ import annotations

import pytest
import torch

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.checkpoint.synthetic import seeded_tensor
from mmaudio_core.models.bigvgan import BigVGAN, BigVGANParams, lowpass_filter
from mmaudio_core.models.bigvgan.activation import AntiAliasedActivation
from mmaudio_core.models.bigvgan.fir import (
    ACTIVATION_RADIUS,
    ActivationParams,
    fir_convolution,
    fir_matmul,
)
from mmaudio_core.models.chunked import LocalOp
from mmaudio_core.models.ops import TORCH_OPERATIONS, LayerFactory
from tests.core.networks import affected, noise, shapes_of
from tests.core.small import assert_rows, counted, to
from tests.golden_files import golden, relative_error, tiny_weights
from tests.parity.build import build

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", ["16k", "44k"])
def test_waveforms_match(rate: str, dtype: torch.dtype):
    assert_rows(f"tiny_bigvgan_{rate}", dtype)


@pytest.mark.parametrize(
    ("rate", "rates", "hop", "tanh"),
    [("16k", (4, 4, 2, 2, 2, 2), 256, True), ("44k", (8, 4, 2, 2, 2, 2), 512, False)],
)
def test_params_are_inferred_from_the_shapes(
    rate: str, rates: tuple[int, ...], hop: int, tanh: bool
):
    network = build(PartKind.VOCODER, tiny_weights(f"bigvgan_{rate}"))
    params = BigVGANParams.from_shapes(shapes_of(network.state_dict()))
    assert params.rates == rates
    assert params.hop == hop
    assert params.kernels == (3, 7, 11)
    assert params.tanh == tanh


def test_the_filter_is_the_published_one():
    published = seeded_tensor("activation_post.upsample.filter", (1, 1, 12))
    assert (lowpass_filter() - published).abs().max() < 1e-7


def test_filters_stay_float32_in_half_precision():
    weights = to(tiny_weights("bigvgan_44k"), torch.bfloat16)
    network = build(PartKind.VOCODER, weights, torch.bfloat16)
    assert isinstance(network, BigVGAN)
    filters = [p for key, p in network.named_parameters() if key.endswith(".filter")]
    assert len(filters) == 2 * 109
    assert all(torch.equal(p, lowpass_filter()) for p in filters)


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float16])
def test_a_half_precision_file_computes_in_float32(stored: torch.dtype):
    network = build(PartKind.VOCODER, to(tiny_weights("bigvgan_44k"), stored))
    tensors, _ = golden("tiny_bigvgan_44k")
    assert relative_error(network(tensors["mel"]), tensors["audio"]) < 0.05


def activation() -> AntiAliasedActivation:
    act = AntiAliasedActivation(LayerFactory(TORCH_OPERATIONS, None, None), 1)
    with torch.no_grad():
        act.upsample.filter.copy_(lowpass_filter())
        act.downsample.lowpass.filter.copy_(lowpass_filter())
        act.act.alpha.zero_()
        act.act.beta.zero_()
    return act


def test_filters_keep_a_constant():
    with torch.no_grad():
        out = activation()(torch.full((1, 1, 30), 0.7), torch.float32)
    expected = 0.7 + torch.tensor(0.7).sin() ** 2
    assert out.shape == (1, 1, 30)
    assert torch.allclose(out, expected.expand_as(out), atol=1e-5)


def test_receptive_field_of_an_activation(monkeypatch: pytest.MonkeyPatch):
    # matrix products would multiply NaN by zero
    monkeypatch.setattr("mmaudio_core.models.bigvgan.activation.fir_matmul", fir_convolution)
    op = LocalOp(run=lambda x: activation()(x, torch.float32), radius=ACTIVATION_RADIUS)
    with torch.no_grad():
        assert affected(op, noise(1, 1, 100), 50) == (50 - op.radius, 50 + op.radius)


@pytest.mark.parametrize("blocks", [(1, 48), (64, 1), (1000, 3)])
def test_matrix_products_give_what_convolutions_give(
    blocks: tuple[int, int], monkeypatch: pytest.MonkeyPatch
):
    generator = torch.Generator().manual_seed(0)
    scales = (torch.rand(5, 1, generator=generator) + 0.5 for _ in range(2))
    # asymmetric filters, so that a tap in the wrong place shows
    up, down = (lowpass_filter() + torch.rand(12, generator=generator) / 9 for _ in range(2))
    params = ActivationParams(*scales, up_filter=up, down_filter=down)
    monkeypatch.setattr("mmaudio_core.models.bigvgan.fir._BLOCK", blocks[0])
    monkeypatch.setattr("mmaudio_core.models.bigvgan.fir._BLOCK_CHANNELS", blocks[1])
    for length in (1, 2, 6, 15, 16, 17, 21, 32, 33, 171):
        x = noise(2, 5, length)
        expected = fir_convolution(x, params)
        assert relative_error(fir_matmul(x, params), expected) < 1e-6, length


def test_a_run_can_stop_before_every_block():
    network = build(PartKind.VOCODER, tiny_weights("bigvgan_16k"))
    assert isinstance(network, BigVGAN)
    tensors, _ = golden("tiny_bigvgan_16k")
    with counted(network) as ran:
        network(tensors["mel"][:1, :, :4])
    assert ran == list(network.resblocks)
    assert len(ran) == 18
