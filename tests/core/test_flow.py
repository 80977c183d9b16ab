"""The flow network against the published implementation, on tiny seeded weights."""

from __future__ import annotations

import pytest
import torch

from mmaudio_core.errors import MMAudioError
from mmaudio_core.models.flow import FlowNetwork, FlowParams
from mmaudio_core.models.flow import layers as flow_layers
from mmaudio_core.models.flow.conditions import Conditions
from mmaudio_core.models.rope import rotate, rotations
from tests.core.networks import shapes_of
from tests.core.small import assert_rows, counted, tiny_flow
from tests.golden_files import golden, relative_error, tiny_weights

# v1 and v2, both rates, both lengths; the parity table has them all
GOLDENS = ["tiny_dit_large_44k_v2_5.3s", "tiny_dit_small_16k_5.3s"]
HALF = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize(
    "name", [*GOLDENS, "tiny_dit_large_44k_v2_8.0s", "tiny_dit_small_44k_5.3s"]
)
def test_conditions_velocities_and_samples_match(name: str):
    assert_rows(name)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", GOLDENS)
def test_half_precision_stays_close(name: str, dtype: torch.dtype):
    assert_rows(name, dtype, until="flow_t0.96")


@pytest.mark.parametrize(
    ("name", "latents", "v2"),
    [("dit_small_16k", 20, False), ("dit_small_44k", 40, False), ("dit_large_44k_v2", 40, True)],
)
def test_params_are_inferred_from_the_shapes(name: str, latents: int, v2: bool):
    params = FlowParams.from_shapes(shapes_of(tiny_weights(name)))
    assert params == FlowParams(
        latent_dim=latents,
        clip_dim=64,
        sync_dim=128,
        text_dim=128,
        width=128,
        joint_depth=2,
        fused_depth=2,
        v2=v2,
    )
    assert params.heads == 2


def test_a_latent_width_of_no_model_is_refused():
    shapes = shapes_of(tiny_weights("dit_small_16k")) | {"audio_input_proj.0.weight": (128, 32, 7)}
    with pytest.raises(MMAudioError, match=r"latents of width 32, expected 20 \(16000 Hz\) or 40"):
        FlowParams.from_shapes(shapes)


@pytest.mark.parametrize("name", ["dit_small_16k", "dit_large_44k_v2"])
def test_time_is_float32_in_half_precision(name: str):
    t = torch.tensor([0.3, 0.9601])
    with torch.no_grad():
        exact = tiny_flow(name).t_embed(t, torch.float32)
        half = tiny_flow(name, torch.bfloat16).t_embed(t, torch.bfloat16)
        rounded = tiny_flow(name).t_embed(t.bfloat16(), torch.float32)
    assert half.dtype == torch.bfloat16
    assert relative_error(half, exact) < 0.01
    if name == "dit_large_44k_v2":  # time times 10000: bfloat16's 8 bits are whole turns off
        assert relative_error(rounded, exact) > 0.2


def test_rotation_angles_are_float32_in_half_precision():
    angles = rotations(345, 64, scale=1.0, device=torch.device("cpu"))
    assert angles.dtype == torch.float32
    x = torch.randn(2, 345, 64, generator=torch.Generator().manual_seed(0))
    turned = rotate(x.bfloat16(), angles)
    assert turned.dtype == torch.bfloat16
    assert relative_error(turned, rotate(x, angles)) < 0.005
    # to bfloat16, 343 and 344 radians are the same
    cosines = torch.arange(345, dtype=torch.float64).cos()
    assert torch.allclose(angles[0, :, 0].double(), cosines, atol=1e-5)


def test_rotation_turns_pairs_of_adjacent_channels():
    angles = rotations(3, 4, scale=2.0, device=torch.device("cpu"))
    x = torch.tensor([1.0, 0.0, 0.0, 1.0]).expand(1, 3, 4)
    turned = rotate(x, angles)
    for position in range(3):
        first, second = torch.tensor(2.0 * position), torch.tensor(2.0 * position / 100)
        expected = torch.stack((first.cos(), first.sin(), -second.sin(), second.cos()))
        assert torch.allclose(turned[0, position], expected, atol=1e-6)


def test_the_norm_of_queries_is_computed_in_float32():
    large = torch.full((1, 64), 1000.0, dtype=torch.float16)  # squares overflow float16
    assert torch.allclose(flow_layers.rms_norm(large), torch.ones(1, 64))


def test_a_run_can_stop_before_every_block():
    network = tiny_flow()
    tensors, _ = golden("tiny_dit_small_16k_5.3s")
    with torch.no_grad(), counted(network) as ran:
        given = network.conditions(tensors["clip"], tensors["sync"], tensors["text"], 166)
        network(tensors["x0"], torch.zeros(2), given)
    assert ran == network.interruptible_modules() == [*network.joint_blocks, *network.fused_blocks]


def test_normalize_undoes_unnormalize():
    network = tiny_flow()
    z = torch.randn(1, 5, 20, generator=torch.Generator().manual_seed(1))
    assert relative_error(network.unnormalize(network.normalize(z)), z) < 1e-6


def test_missing_features_are_replaced_by_learned_ones():
    network = tiny_flow()
    assert network.empty_clip(2, 3).shape == (2, 3, 64)
    assert network.empty_sync(2, 8).shape == (2, 8, 128)
    assert torch.equal(network.empty_text(1)[0], network.empty_string_feat)


def test_keys_are_the_published_ones():
    weights = tiny_weights("dit_large_44k_v2")
    network = FlowNetwork(FlowParams.from_shapes(shapes_of(weights)), device="meta")
    assert set(network.state_dict()) == set(weights)


def test_repeating_sync_rows_are_kept_once():
    """Without a video, all segments have the same sync features."""
    network = tiny_flow()
    tensors, _ = golden("tiny_dit_small_16k_5.3s")
    for tokens in (8, 16, 24, 120):
        given = network.empty_clip(2, 42), network.empty_sync(2, tokens), tensors["text"], 166
        with torch.no_grad():
            every = network.conditions(*given)
            once = network.conditions(*given, repeating=True)
            assert len(once.sync_rows) == 2 * min(tokens, 18)
            assert (
                relative_error(
                    once.sync_rows[once.row_of_latent], every.sync_rows[every.row_of_latent]
                )
                < 1e-6
            )
            t = torch.full((2,), 0.3)
            expected = network(tensors["x0"], t, every)
            assert relative_error(network(tensors["x0"], t, once), expected) < 1e-6
            both = Conditions.stack([*once.split(), *every.split()])
            set_index = torch.tensor([3, 0, 1, 2])
            got = network(tensors["x0"][[1, 0, 1, 0]], t[:1], both, set_index)
            assert relative_error(got, expected[[1, 0, 1, 0]]) < 1e-6
