"""The MODEL samples what the core samples."""

from __future__ import annotations

from .conftest import Inside


def test_it_samples_what_the_core_samples(inside: Inside) -> None:
    errors = inside("model")("equals_the_core")
    assert set(errors) == {"small_16k", "large_44k_v2"}
    assert max(error for of in errors.values() for error in of.values()) < 1e-4, errors
