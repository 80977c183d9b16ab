"""The VAE against the published implementation, on tiny seeded weights."""

from __future__ import annotations

import pytest
import torch

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.errors import CheckpointError
from mmaudio_core.models.vae import VAE, VAEParams, fold_weights
from tests.core.networks import shapes_of
from tests.core.small import assert_rows, counted
from tests.golden_files import golden, tiny_weights
from tests.parity.build import build

RATES = ["16k", "44k"]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", RATES)
def test_decoder_and_encoder_match(rate: str, dtype: torch.dtype):
    assert_rows(f"tiny_vae_{rate}", dtype)


def test_params_are_inferred_from_the_shapes():
    params = VAEParams.from_shapes(shapes_of(tiny_weights("vae_44k")))
    assert params == VAEParams(mels=128, latent_dim=40, hidden=32)
    assert params.widths == (32, 64, 128)


def test_other_shapes_are_refused():
    shapes = shapes_of(tiny_weights("vae_16k")) | {"decoder.conv_in.weight": (96, 20, 3)}
    with pytest.raises(
        CheckpointError, match=r"has shape \(96, 20, 3\), expected \(128, any, 3\) in a VAE"
    ):
        VAEParams.from_shapes(shapes)


def test_folded_filters_have_the_gain_of_their_fan_in():
    folded = fold_weights(tiny_weights("vae_16k"))
    w = folded["decoder.mid.block_1.conv1.weight"]
    assert torch.allclose(w.flatten(1).norm(dim=1), torch.ones(len(w)), atol=3e-3)
    assert not any(key.endswith("learnable_gain") for key in folded)
    gain = 1 + tiny_weights("vae_16k")["decoder.learnable_gain"]
    out = folded["decoder.conv_out.weight"].flatten(1).norm(dim=1)
    assert torch.allclose(out, gain.abs().expand(len(out)), atol=3e-3)


def test_a_run_can_stop_before_every_block():
    vae = build(PartKind.VAE, tiny_weights("vae_16k"))
    assert isinstance(vae, VAE)
    tensors, _ = golden("tiny_vae_16k")
    with counted(vae) as ran:
        vae.decode(tensors["z"])
    assert len(ran) == 2 + 1 + 9 + 1  # mid's blocks and attention, three levels of three, upsample


def test_log_variance_is_limited():
    vae = build(PartKind.VAE, tiny_weights("vae_16k"))
    assert isinstance(vae, VAE)
    with torch.no_grad():
        vae.get_parameter("encoder.conv_out.weight").mul_(1e6)
        _, logvar = vae.encode(golden("tiny_vae_16k")[0]["mel_in"])
    assert (logvar.min(), logvar.max()) == (-30, 20)
