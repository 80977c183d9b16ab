"""The synchronisation head's score: what is compared with what, and when nothing is."""

from __future__ import annotations

import pytest
from torch import Tensor

from mmaudio_core.scoring.sync import SyncScore, score_sync, window_starts
from tests.core.networks import noise
from tests.core.small import MemoryNetworks

RATE = 16_000
NETWORKS = MemoryNetworks()


def tokens(segments: int, seed: int = 0) -> Tensor:
    """Sync features of so many segments."""
    return noise(1, 8 * segments, 128, seed=seed)


def sound(seconds: float, takes: int = 1, rate: int = RATE, channels: int = 1) -> Tensor:
    return 0.1 * noise(takes, channels, round(seconds * rate), seed=7)


def score(sync: Tensor | None, waveforms: Tensor, rate: int = RATE) -> list[SyncScore]:
    return score_sync(NETWORKS, sync, waveforms, rate)


def test_windows_include_the_first_and_the_last():
    assert window_starts(14) == [0]
    assert window_starts(15) == [0, 1]
    assert window_starts(24) == [0, 3, 6, 9, 10]
    assert window_starts(26) == [0, 3, 6, 9, 12]


def test_eight_seconds_are_five_windows():
    (found,) = score(tokens(24), sound(8))
    assert found.reason is None
    assert found.notice is None
    assert found.times == pytest.approx([2.4, 3.36, 4.32, 5.28, 5.6])
    assert len(found.offsets) == 5
    assert found.desync == (abs(found.offsets[0]) + abs(found.offsets[-1])) / 2
