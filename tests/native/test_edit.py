"""Regions, extensions, encoding and audio to audio on ComfyUI's own samplers."""

from __future__ import annotations

import pytest

from .conftest import Inside


def test_a_region_is_made_anew_and_the_rest_is_kept(inside: Inside) -> None:
    got = inside("edit")("region")
    assert got["kept"] < 1e-5
    assert got["changed"] > 1e-2
    assert got["first_changed"] == pytest.approx(0.5, abs=0.032)
    assert got["last_changed"] == pytest.approx(1.0, abs=0.064)
    assert got["feathered"] > 0


def test_a_result_is_continued(inside: Inside) -> None:
    got = inside("edit")("extend")
    assert got["length"] == 94  # 3 s at 16 kHz
    assert got["kept"] < 1e-5
    assert got["new"] > 1e-2
    assert got["samples"] == 48_000


def test_sound_is_encoded_at_the_models_rate(inside: Inside) -> None:
    got = inside("edit")("encode")
    assert got["own"] == [2, 1, 32, 20]
    assert got["longer"] == [2, 1, 63, 20]
    assert got["as_features"] == [2, 1, 47, 20]
    assert got["resampled_error"] < 0.06


def test_denoise_says_how_much_is_made_anew(inside: Inside) -> None:
    nothing, some, everything = inside("edit")("denoise")
    assert nothing == 0
    assert 0 < some < everything
