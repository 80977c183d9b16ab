"""MMAudioGuider against its formula; ComfyUI's guidance patches against theirs.

Where a patch of ComfyUI's is not what was published, the help of MMAudioGuider says so: a test that
fails because ComfyUI changed means that the help has to change.
"""

from __future__ import annotations

import pytest

from .conftest import Inside

EXACT = 1e-5


def test_it_is_its_formula(inside: Inside) -> None:
    errors = inside("guider")("formula")
    assert len(errors) == 7
    assert max(errors.values()) < EXACT, errors


def test_equal_strengths_are_the_usual_guidance(inside: Inside) -> None:
    errors = inside("guider")("equal_strengths")
    assert errors["others"] > 0.1
    assert max(errors[k] for k in ("equal", "three branches", "one")) < EXACT, errors


def test_three_branches_are_one_batch(inside: Inside) -> None:
    assert inside("guider")("batches") == {"apart": [3, 3], "equal": [2, 2]}


def test_the_schedule_is_linear(inside: Inside) -> None:
    schedule = inside("guider")("schedule")
    assert schedule["whole"] == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert schedule["half"] == pytest.approx([0.5, 0.375, 0.25, 0.125, 0])
    assert schedule["nothing"] == []


def test_guidance_patches_work_in_the_guider(inside: Inside) -> None:
    errors = inside("guider")("guidance_patches_work_in_the_guider")
    assert max(errors.values()) < EXACT, errors


def test_inputs_of_other_models_are_refused(inside: Inside) -> None:
    said = inside("guider")("errors")
    assert "Load MMAudio Model" in said["guider"]
    assert "Load MMAudio Model" in said["scheduler"]
    assert "MMAudio Feature Extract" in said["text"]


def test_cfg_zero_star_scales_data_and_not_velocities(inside: Inside) -> None:
    errors = inside("guider")("cfg_zero_star")
    assert errors["usual is usual"] < EXACT
    assert errors["on the data"] < EXACT, errors
    assert errors["published"] > 0.01, errors


def test_apg_is_the_published_one_at_one_less_cfg(inside: Inside) -> None:
    errors = inside("guider")("apg")
    assert errors["cfg at eta 1"]["one more"] < EXACT, errors
    for name in ("all", "no limit", "usual"):
        assert errors[name]["weight cfg"] < EXACT, errors
        assert errors[name]["weight cfg - 1"] > 0.01, errors
    assert errors["all"]["mixed"] > 0.01, errors  # each take has a norm of its own


def test_rescale_cfg_is_not_for_flow(inside: Inside) -> None:
    errors = inside("guider")("rescale_cfg")
    assert errors["multiplier 0"] < EXACT
    assert errors["multiplier 1"] > 0.01, errors
