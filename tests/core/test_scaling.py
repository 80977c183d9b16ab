"""Work and memory of a long job grow linearly with its duration."""

from __future__ import annotations

import sys

import pytest

from .scaling import Cost, measure

_SLACK = 40  # MB that the allocator may hold on to

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc"),
]


@pytest.fixture(scope="module")
def minute_and_five() -> tuple[Cost, Cost]:
    """Costs of 60 s and 300 s."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # threads slow networks this small down
        return measure(60), measure(300)


def test_work_grows_linearly(minute_and_five: tuple[Cost, Cost]) -> None:
    short, long = minute_and_five
    assert 4 < long.latents / short.latents < 5.1
    assert long.longest < 1.05 * short.longest  # attention stays within a window


def test_memory_grows_by_inputs_and_results_only(minute_and_five: tuple[Cost, Cost]) -> None:
    short, long = minute_and_five
    assert long.waveform == pytest.approx(300 * 16_000 * 4 / 1e6)
    assert long.peak - short.peak < long.kept - short.kept + _SLACK, f"{short}, {long}"
