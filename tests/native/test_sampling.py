"""ComfyUI's samplers and schedules on the MODEL."""

from __future__ import annotations

import pytest

from .conftest import Inside


def test_higher_order_samplers_come_closer_than_euler(inside: Inside) -> None:
    errors = inside("sampling")("samplers")
    for name in ("heun", "dpmpp_2m", "uni_pc"):
        assert errors[name] < errors["euler"], errors


def test_the_linear_schedule_is_the_authors(inside: Inside) -> None:
    got = inside("sampling")("schedules")
    assert got["linear"] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert got["half"] == [0.5, 0.375, 0.25, 0.125, 0.0]
    assert got["linear_25"] == pytest.approx(got["simple_25"], abs=1e-6)
    assert got["first"] == "linear"
    assert set(got["lasts"]) == {0.0}


def test_only_matrices_are_stored_in_fp8(inside: Inside) -> None:
    got = inside("sampling")("fp8")
    assert got["matrices"] == ["torch.float8_e4m3fn"]
    assert got["others"] == [got["computed"]]
    assert got["vae"] == ["torch.float32"]
    assert 1e-4 < got["error"] < 0.5


def test_another_multiplier_of_the_timestep_changes_nothing(inside: Inside) -> None:
    assert inside("sampling")("multiplier") < 1e-5


def test_an_interrupt_ends_within_one_block(inside: Inside) -> None:
    got = inside("sampling")("interrupt")
    assert got["outcome"] == "interrupted"
    assert got["ran"] <= 1
    assert got["next"] == 0


def test_a_latent_of_another_model_is_refused(inside: Inside) -> None:
    message = inside("sampling")("wrong_latent")
    assert "(1, 1, 172)" in message
    assert "expected (takes, 1, 63, 20)" in message
    assert "Connect the latent" in message


def test_a_take_equals_a_run_of_its_own_seed(inside: Inside) -> None:
    assert inside("sampling")("seeds") < 1e-4
