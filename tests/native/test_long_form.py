"""Windows on ComfyUI's own samplers."""

from __future__ import annotations

from .conftest import Inside


def test_it_samples_what_the_core_samples(inside: Inside) -> None:
    errors = inside("long_form")("equals_the_core")
    assert max(errors.values()) < 1e-4, errors


def test_the_node_sets_the_windows_of_its_model_only(inside: Inside) -> None:
    got = inside("long_form")("node")
    assert got["node"] < 1e-4
    assert got["differs"] > 1e-2
    assert got["unpatched"] == 0


def test_windows_of_both_branches_run_in_one_batch(inside: Inside) -> None:
    assert inside("long_form")("batches") == [8]


def test_a_schedule_is_what_the_core_makes_of_it(inside: Inside) -> None:
    errors = inside("long_form")("schedule")
    assert len(errors) == 4
    assert max(errors.values()) < 1e-4, errors
    assert inside("long_form")("schedule_matters") > 1e-2


def test_windows_run_one_by_one_where_there_is_little_room(inside: Inside) -> None:
    got = inside("long_form")("little_room")
    assert max(got["rows"]) == 1 and len(got["rows"]) == 8  # 4 windows, both branches alone
    assert got["error"] < 1e-5
