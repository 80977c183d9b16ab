"""What a long job costs grows with its length alone: no more work a second, no more memory."""

from __future__ import annotations

import sys

import pytest

from mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE
from mmaudio_core.sampling.euler import SAMPLING_STAGE

from .scaling import Cost, Job, measure

_SLACK = 40  # MB: what the allocator happens to hold on to

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc"),
]


@pytest.fixture(scope="module")
def minute_and_ten() -> tuple[Cost, Cost]:
    """What 60 s and 600 s cost on tiny networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # networks this small are slowed down by threads
        short, long = (measure(Job(seconds=s, steps=1, visual=True)) for s in (60, 600))
    return short, long


def test_work_grows_with_the_length(minute_and_ten: tuple[Cost, Cost]) -> None:
    short, long = minute_and_ten
    assert 8 < long.runs / short.runs < 10.2
    assert long.longest < 1.05 * short.longest  # attention within a window costs no more


def test_memory_grows_by_what_comes_in_and_goes_out(minute_and_ten: tuple[Cost, Cost]) -> None:
    short, long = minute_and_ten
    assert set(long.stages) == {SAMPLING_STAGE, VAE_STAGE, VOCODER_STAGE}
    assert long.waveform == pytest.approx(600 * 16_000 * 4 / 1e6)
    assert long.peak - short.peak < long.kept - short.kept + _SLACK, f"{short}, {long}"
