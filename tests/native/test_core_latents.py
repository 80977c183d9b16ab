"""Latents through core's own nodes: to the sample as long as before, or the node says that it
cannot know."""

from __future__ import annotations

import pytest

from .conftest import Inside

KNOWN = {
    "as made": 1,
    "KSampler": 1,
    "Repeat": 3,
    "FromBatch": 1,
    "FromBatch, two": 2,
    "FromBatch, Repeat": 2,
    "Multiply": 1,
    "Region": 1,
}
UNKNOWN = {
    "Load": 1,
    "Load, KSampler": 1,
    "Rebatch": 1,
    "Rebatch, joined": 2,
    "Rebatch, Region": 1,
    "Cut": 1,
    "Concat": 1,
}
JOINED = {"Batch": 2, "Batch of parts": 2, "Batch, Repeat": 6}


def test_the_table_is_whole(inside: Inside) -> None:
    table = inside("core_latents")("routes")
    assert set(table) == {*KNOWN, *UNKNOWN, *JOINED}
    assert inside("core_latents")("exact") == [19_752, 19_968]


@pytest.mark.parametrize("route", KNOWN)
def test_the_duration_is_kept(inside: Inside, route: str) -> None:
    got = inside("core_latents")("routes")[route]
    assert (got["takes"], got["samples"]) == (KNOWN[route], 19_752)
    assert got["notices"] == [[], [], []]


@pytest.mark.parametrize("route", UNKNOWN)
def test_a_lost_duration_is_said(inside: Inside, route: str) -> None:
    """By each node that needs it; the features bring it back."""
    got = inside("core_latents")("routes")[route]
    assert (got["takes"], got["samples"]) == (UNKNOWN[route], got["whole"])
    for (notice,) in got["notices"]:
        assert "does not say how long it sounds" in notice
        assert f"took all of it, {got['whole'] / 16_000:.3f} s" in notice
    if got["whole"] == 19_968:
        assert got["with features"] == 19_752 and got["quiet"]
    else:  # another length than that of the features
        assert "for features of 1.2345 s. Connect the features that it" in got["with features"]


@pytest.mark.parametrize("route", JOINED)
def test_a_batch_is_as_long_as_its_first(inside: Inside, route: str) -> None:
    got = inside("core_latents")("routes")[route]
    assert (got["takes"], got["samples"]) == (JOINED[route], 19_752)
    for (notice,) in got["notices"]:
        assert "joined into a batch" in notice and "taken to last 1.2345 s" in notice
