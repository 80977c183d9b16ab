"""The MODEL samples what the core samples."""

from __future__ import annotations

from .conftest import Inside


def test_it_samples_what_the_core_samples(inside: Inside) -> None:
    errors = inside("model")("equals_the_core")
    assert set(errors) == {"small_16k", "large_44k_v2"}
    assert max(error for of in errors.values() for error in of.values()) < 1e-4, errors


def test_the_synchronisation_head_is_a_network_of_its_own(inside: Inside) -> None:
    """Read when it is asked for; Synchformer itself holds no more than its visual branch."""
    found = inside("model")("sync_head")
    assert found["same"]
    assert found["measured"] == [True, True]
    assert found["audio"] < 1e-4
    assert found["logits"] < 1e-4
    assert found["bytes"] == found["parameters"]
    assert found["reason"].startswith("this Synchformer file holds no synchronisation head")
    assert found["read"] == 0
