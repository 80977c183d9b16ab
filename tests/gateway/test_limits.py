"""How much a key may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pack import load_pack_module

module = load_pack_module("gateway.limits")
errors = load_pack_module("gateway.errors")
Limits, TooManyError = module.Limits, errors.TooManyError


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refused(limits: Any, owner: str = "anna") -> int:
    """The seconds of ``Retry-After``."""
    with pytest.raises(TooManyError) as caught:
        limits.begin(owner)
    return int(caught.value.headers["Retry-After"])


def test_creates_in_a_minute(clock: Clock) -> None:
    limits = Limits(3, 100, clock)
    for _ in range(3):
        limits.begin("anna")
        clock.now += 10
    assert refused(limits) == 30  # the first was 30 s ago
    clock.now += 29.5
    assert refused(limits) == 1
    clock.now += 0.5
    limits.begin("anna")
    assert refused(limits) == 10


def test_waiting_as_long_as_told_is_enough(clock: Clock) -> None:
    limits = Limits(1, 100, clock)
    limits.begin("anna")
    clock.now += 0.7
    clock.now += refused(limits)
    limits.begin("anna")


def test_unfinished_jobs(clock: Clock) -> None:
    limits = Limits(100, 2, clock)
    limits.begin("anna")
    limits.begin("anna")
    assert refused(limits) > 0
    limits.end("anna")
    limits.begin("anna")
    assert refused(limits) > 0


def test_what_is_refused_does_not_count(clock: Clock) -> None:
    limits = Limits(2, 1, clock)
    limits.begin("anna")
    for _ in range(5):
        refused(limits)
    limits.end("anna")
    limits.begin("anna")  # the second of this minute
    limits.end("anna")
    for _ in range(5):
        assert refused(limits) == 60
    clock.now += 60
    limits.begin("anna")  # none of the five is unfinished


def test_uploads_count_too(clock: Clock) -> None:
    limits = Limits(2, 100, clock)
    limits.count("anna")
    limits.begin("anna")
    assert refused(limits) == 60
    with pytest.raises(TooManyError):
        limits.count("anna")


def test_each_key_has_its_own(clock: Clock) -> None:
    limits = Limits(1, 1, clock)
    limits.begin("anna")
    limits.begin("bert")
    assert refused(limits) and refused(limits, "bert")


def test_jobs_of_before_a_restart_go_on(clock: Clock) -> None:
    limits = Limits(1, 2, clock)
    for _ in range(4):  # more than the limit is now
        limits.resume("anna")
    for _ in range(3):
        assert refused(limits) == 5
        limits.end("anna")
    limits.begin("anna")  # no resumed job is one of this minute
