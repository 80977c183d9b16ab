"""MMAudioLoraLoader: a patched MODEL samples what one with merged weights samples."""

from __future__ import annotations

from .conftest import Inside


def test_every_format_equals_the_merged_network(inside: Inside) -> None:
    results = inside("lora")("equals_the_merged_network")
    assert len(results) >= 12
    for name, result in results.items():
        assert result["error"] < 1e-4, (name, result)
        assert result["effect"] > 1e-2, (name, result)  # else nothing was tested


def test_other_strengths_and_several_files(inside: Inside) -> None:
    errors = inside("lora")("strengths")
    assert max(errors.values()) < 1e-4, errors


def test_strength_zero_and_unloading_change_nothing(inside: Inside) -> None:
    facts = inside("lora")("nothing_changes")
    assert all(facts.values()), facts


def test_files_in_folders_are_named_with_slashes(inside: Inside) -> None:
    assert "kohya/kohya.safetensors" in inside("lora")("names")


def test_files_that_do_not_fit_are_refused(inside: Inside) -> None:
    errors = inside("lora")("errors")
    assert "made for another variant" in errors["wide"]
    assert "match nothing in this network" in errors["foreign"]
    assert "Load MMAudio Model" in errors["model"]
