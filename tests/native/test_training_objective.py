"""ComfyUI's trainer minimizes the published loss, if it gets the objective."""

from __future__ import annotations

import pytest

from .conftest import Inside

EXACT = 1e-4


def test_the_gradient_is_that_of_the_paper(inside: Inside) -> None:
    found = inside("training_objective")("gradient")
    for batch in (1, 2):
        result = found[f"ours, batch {batch}"]
        assert result["count"] > 20 and result["error"] < EXACT, found
    # what the node is for: ComfyUI's own weighs errors by sigma, and mixes conditions in a batch
    assert found["core's, batch 1"]["error"] > 0.1, found
    assert found["core's, batch 1, weighed"]["error"] < EXACT, found
    assert found["core's, batch 2, weighed"]["error"] > 0.05, found


def test_times_are_drawn_as_the_authors_drew_them(inside: Inside) -> None:
    found = inside("training_objective")("times")
    assert found["mean"] == pytest.approx(0, abs=0.03)
    assert found["std"] == pytest.approx(1, abs=0.03)
    assert found["kurtosis"] == pytest.approx(3, abs=0.2)
    assert found["ends"] == [1, 0] and found["falls"]


def test_a_model_with_the_objective_still_samples(inside: Inside) -> None:
    assert inside("training_objective")("sampling_is_unchanged")["error"] < EXACT
