"""The network's own opinion of takes through ComfyUI's MODEL."""

from __future__ import annotations

import pytest

from .conftest import Inside


def test_it_is_what_the_core_measures(inside: Inside) -> None:
    found = inside("agreement")("equals_the_core")
    assert set(found) == {"short", "long", "scheduled", "text"}
    for name, (got, expected) in found.items():
        assert got == pytest.approx(expected, abs=1e-5), name
        assert abs(got[0]) > 1e-4, name
    assert found["long"][0] != pytest.approx(found["scheduled"][0], abs=1e-5)


def test_patches_of_weights_count(inside: Inside) -> None:
    plain, patched, expected = inside("agreement")("patches_count")
    assert patched == pytest.approx(expected, abs=1e-5)
    assert patched != pytest.approx(plain, abs=1e-5)


def test_caches_over_steps_skip_nothing(inside: Inside) -> None:
    plain, cached = inside("agreement")("caches_over_steps_skip_nothing")
    assert cached == pytest.approx(plain, abs=1e-6)


def test_takes_share_passes_and_do_not_change_each_other(inside: Inside) -> None:
    rows, first, last, together, alone = inside("agreement")("calls")
    assert rows == [8] * 8 + [1] * 8
    assert first == ["agreement", 0, 16]
    assert last == ["agreement", 16, 16]
    assert together == pytest.approx(alone, abs=1e-5)
