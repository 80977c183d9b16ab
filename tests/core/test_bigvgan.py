"""BigVGAN v1 and v2 against the published implementation, on tiny seeded weights."""

from __future__ import annotations

import pytest
import torch

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.checkpoint.synthetic import seeded_tensor
from mmaudio_core.models.bigvgan import BigVGAN, BigVGANParams
from mmaudio_core.models.bigvgan.activation import AliasFreeActivation, lowpass
from tests.core.networks import shapes_of
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
def test_config_is_read_off_the_shapes(rate: str, rates: tuple[int, ...], hop: int, tanh: bool):
    network = build(PartKind.VOCODER, tiny_weights(f"bigvgan_{rate}"))
    params = BigVGANParams.from_shapes(shapes_of(network.state_dict()))
    assert params.rates == rates
    assert params.hop == hop
    assert params.kernels == (3, 7, 11)
    assert params.tanh == tanh


def test_the_filter_is_the_published_one():
    published = seeded_tensor("activation_post.upsample.filter", (1, 1, 12))
    assert (lowpass() - published).abs().max() < 1e-7


def test_filters_stay_float32_in_half_precision():
    weights = to(tiny_weights("bigvgan_44k"), torch.bfloat16)
    network = build(PartKind.VOCODER, weights, torch.bfloat16)
    assert isinstance(network, BigVGAN)
    filters = [p for key, p in network.named_parameters() if key.endswith(".filter")]
    assert len(filters) == 2 * 109
    assert all(torch.equal(p, lowpass()) for p in filters)


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float16])
def test_a_half_precision_file_computes_in_float32(stored: torch.dtype):
    network = build(PartKind.VOCODER, to(tiny_weights("bigvgan_44k"), stored))
    tensors, _ = golden("tiny_bigvgan_44k")
    assert relative_error(network(tensors["mel"]), tensors["audio"]) < 0.05


def test_a_constant_passes_the_activation_unchanged_but_for_the_snake():
    act = AliasFreeActivation(1, device=None, dtype=None)
    with torch.no_grad():
        for filters in (act.upsample.filter, act.downsample.lowpass.filter):
            filters.copy_(lowpass())
        act.act.alpha.fill_(0.0)
        act.act.beta.fill_(0.0)
        out = act(torch.full((1, 1, 30), 0.7), torch.float32)
    expected = 0.7 + torch.tensor(0.7).sin() ** 2
    assert out.shape == (1, 1, 30)
    assert torch.allclose(out, expected.expand_as(out), atol=1e-5)


def test_every_block_is_a_step():
    network = build(PartKind.VOCODER, tiny_weights("bigvgan_16k"))
    assert isinstance(network, BigVGAN)
    tensors, _ = golden("tiny_bigvgan_16k")
    with counted(network) as ran:
        network(tensors["mel"][:1, :, :4])
    assert ran == list(network.resblocks)
    assert len(ran) == 18
