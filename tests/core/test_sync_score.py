"""The synchronisation head's score: what is compared with what, and when nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.errors import MediaError, MMAudioError, Problem
from mmaudio_core.models.synchformer import SyncHead, SyncHeadParams
from mmaudio_core.providers import CachedModels, LoadedModel
from mmaudio_core.scoring import sync as scoring
from mmaudio_core.scoring.sync import SYNC_SCORE_STAGE, SyncScore, score_sync, window_starts
from tests.core.live_memory import peak
from tests.core.networks import noise
from tests.core.small import CancelAt, Cancelled, MemoryNetworks
from tests.parity.build import tiny_bundle

RATE = 16_000
NETWORKS = MemoryNetworks()
FLASHES = tuple((0.3 + noise(26, seed=8).abs().clamp(0.3, 1.5).cumsum(dim=0)).tolist())


def tokens(segments: int) -> Tensor:
    """Sync features of so many segments."""
    return noise(1, 8 * segments, 128)


def sound(seconds: float, takes: int = 1, channels: int = 1, rate: int = RATE) -> Tensor:
    return 0.1 * noise(takes, channels, round(seconds * rate), seed=7)


def score(sync: Tensor | None, waveforms: Tensor, rate: int = RATE) -> list[SyncScore]:
    return score_sync(NETWORKS, sync, waveforms, rate)


class ClickHead(SyncHead):
    """A head that is right by construction: it looks at which offset the clicks meet flashes.

    It names offsets as the authors' data do: a sound is ``o`` early if what is heard now is seen
    ``o`` seconds later.
    """

    def __init__(self) -> None:
        super().__init__(SyncHeadParams(width=64, audio_layers=1, layers=1, offsets=21))

    def encode_segments(self, mel: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        loud = torch.stack([mel[:, :, 10 * t : 10 * t + 10].amax(dim=(1, 2)) for t in range(6)], 1)
        return (loud > 0)[..., None].expand(-1, -1, 64).float()

    def offset_logits(
        self, visual: Tensor, audio: Tensor, *, dtype: torch.dtype | None = None
    ) -> Tensor:
        starts = 0.32 * torch.arange(14)[:, None]
        seen = (starts + 0.08 * torch.arange(8) + 0.04).flatten()
        heard = (starts + 0.1 * torch.arange(6) + 0.05).flatten()
        shifted = heard[:, None] + self.params.seconds  # (84, 21) when each would be seen
        inside = ((shifted >= 0) & (shifted <= 4.8)).float()
        near = (-(((shifted - seen[:, None, None]) / 0.1) ** 2)).exp()  # (112, 84, 21)
        return torch.stack(
            [
                ((v[:, None, None] * near).amax(dim=0) * a[:, None]).sum(dim=0) / (a @ inside + 3)
                for v, a in zip(visual[..., 0], audio[..., 0], strict=True)
            ]
        )


def clicking() -> MemoryNetworks:
    model = LoadedModel(
        network=ClickHead(), device=torch.device("cpu"), dtype=torch.float32, name="clicks"
    )
    return MemoryNetworks(placed={PartKind.SYNC_HEAD: model})


def flashes(seconds: float) -> Tensor:
    """Sync features that show a flash in the 0.08 s in which it is."""
    segments = int((seconds - 0.64) / 0.32 + 1e-6) + 1
    starts = 0.32 * torch.arange(segments)[:, None] + 0.08 * torch.arange(8)
    seen = torch.zeros(segments, 8)
    for flash in FLASHES:
        seen[(starts <= flash) & (flash < starts + 0.08)] = 1
    return seen.flatten()[None, :, None].expand(1, -1, 64)


def clicks(seconds: float, late: Callable[[float], float], rate: int = RATE) -> Tensor:
    """(1, T) a short tone for each flash, ``late(time)`` seconds after it."""
    wave = torch.zeros(1, round(seconds * rate))
    tone = torch.sin(torch.arange(round(0.02 * rate)) * (2 * torch.pi * 1000 / rate))
    for flash in FLASHES:
        start = round((flash + late(flash)) * rate)
        if start >= 0:
            part = wave[0, start : start + len(tone)]
            part += tone[: len(part)]
    return wave


def test_windows_include_the_first_and_the_last():
    assert window_starts(14) == [0]
    assert window_starts(15) == [0, 1]
    assert window_starts(24) == [0, 3, 6, 9, 10]
    assert window_starts(26) == [0, 3, 6, 9, 12]


def test_a_sound_that_comes_late_has_an_offset_above_0():
    late = (0.0, 0.4, -0.4, 1.2, -0.8)
    takes = torch.stack([clicks(18, lambda _, s=shift: s) for shift in late])
    found = score_sync(clicking(), flashes(18), takes, RATE)
    for shift, take in zip(late, found, strict=True):
        assert take.sync_offset == pytest.approx(shift)
        assert take.desync == pytest.approx(abs(shift))
        assert take.offsets == pytest.approx([shift] * len(take.times))
    times = found[0].times
    assert (times[0], times[-1]) == pytest.approx((2.4, 18 - 2.4), abs=0.33)  # whole segments
    steps = [b - a for a, b in pairwise(times)]
    assert steps[:-1] == pytest.approx([0.96] * (len(times) - 2))


def test_drift_shows_in_the_offsets_and_the_published_score():
    drifting = clicks(18, lambda time: time / 18)[None]
    (found,) = score_sync(clicking(), flashes(18), drifting, RATE)
    for offset, time in zip(found.offsets, found.times, strict=True):
        assert offset == pytest.approx(time / 18, abs=0.12)
    assert found.desync == (found.offsets[0] + found.offsets[-1]) / 2
    assert found.sync_offset == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (44_100, 1), (22_050, 6), (8_000, 2)])
def test_any_rate_and_channels(rate: int, channels: int):
    """The middle of 5.1 is 3 dB up; what is behind it is silent."""
    waveform = torch.zeros(1, channels, 8 * rate)
    waveform[:, :3] = clicks(8, lambda _: -0.6, rate)
    (found,) = score_sync(clicking(), flashes(8), waveform, rate)
    assert found.offsets == pytest.approx([-0.6] * 5)


@pytest.mark.parametrize(("heard", "seen"), [(10.0, 8.0), (6.0, 8.0)])
def test_what_has_no_counterpart_is_left_out(heard: float, seen: float):
    (found,) = score_sync(clicking(), flashes(seen), clicks(heard, lambda _: 0.2)[None], RATE)
    assert set(found.offsets) == {0.2}
    assert found.times[-1] == pytest.approx(min(heard, seen) - 2.4, abs=0.32)
    assert found.times[-1] <= min(heard, seen) - 2.4 + 1e-6


def test_windows_without_sound_are_left_out():
    waveform = clicks(18, lambda _: 0.4)[None]
    waveform[..., 6 * RATE : 13 * RATE] = 0
    (found,) = score_sync(clicking(), flashes(18), waveform, RATE)
    assert not [time for time in found.times if 6 + 2.4 <= time <= 13 - 2.4]
    assert len(found.times) == len(window_starts(55)) - 3
    assert found.desync == pytest.approx(0.4)
    waveform[..., 6 * RATE :] = 0
    (found,) = score_sync(clicking(), flashes(18), waveform, RATE)
    assert max(found.times) < 6 + 2.4
    assert found.desync == (abs(found.offsets[0]) + abs(found.offsets[-1])) / 2


def test_the_networks_own_choice_is_the_published_score():
    """On tiny weights, whose offsets mean nothing, by the network itself."""
    (found,) = score(tokens(24), sound(8))
    network = NETWORKS.acquire(PartKind.SYNC_HEAD, 0).network
    assert isinstance(network, SyncHead)
    segments = sound(8)[0, 0].unfold(0, 10_240, 5_120)
    visual = tokens(24).unflatten(1, (24, 8))
    with torch.no_grad():
        audio = network.encode_segments(scoring.sync_mel(segments))[None]
        logits = torch.cat(
            [
                network.offset_logits(visual[:, part].flatten(1, 2), audio[:, part].flatten(1, 2))
                for part in (slice(0, 14), slice(-14, None))
            ]
        )
    first, last = torch.linspace(-2, 2, 21)[logits.argmax(dim=1)].tolist()
    assert found.desync == pytest.approx((abs(first) + abs(last)) / 2)
    assert (found.offsets[0], found.offsets[-1]) == pytest.approx((-first, -last))


def test_a_take_scores_the_same_alone_and_among_others(monkeypatch: pytest.MonkeyPatch):
    waveforms = torch.stack([clicks(8, lambda _, s=shift: s) for shift in (0.0, 0.4, -0.2)])
    together = score_sync(clicking(), flashes(8), waveforms, RATE)
    monkeypatch.setattr(scoring, "_SEGMENT_BATCH", 7)
    monkeypatch.setattr(scoring, "_WINDOW_BATCH", 2)
    alone = [score_sync(clicking(), flashes(8), take[None], RATE)[0] for take in waveforms]
    assert alone == together
    assert [take.sync_offset for take in together] == [0.0, 0.4, -0.2]


@pytest.mark.parametrize(
    ("sync", "seconds", "reason"),
    [
        (None, 8, "there is no video to compare with: the features hold no sync features"),
        (tokens(24), 4.7, "the sound is 4.70 s long, expected at least 4.8 s"),
        (tokens(13), 8, "the picture's sync features cover 4.48 s, expected at least 4.8 s"),
        (tokens(0), 8, "the picture's sync features cover 0.00 s, expected at least 4.8 s"),
    ],
)
def test_what_cannot_be_measured_is_told_and_loads_nothing(
    sync: Tensor | None, seconds: float, reason: str
):
    networks = MemoryNetworks()
    assert (
        score_sync(networks, sync, sound(seconds, takes=2), RATE) == [SyncScore(reason=reason)] * 2
    )
    assert not networks.placed


def test_exactly_as_long_as_a_window_is_enough():
    for rate in (16_000, 44_100, 48_000, 22_050, 11_025):
        (found,) = score(tokens(14), sound(4.8, rate=rate), rate)
        assert len(found.offsets) == 1, rate
        assert found.desync == abs(found.offsets[0])


def test_a_silent_take_is_not_measured_but_the_others_are():
    waveforms = sound(8, takes=3)
    waveforms[1] *= 1e-4
    silent = score(tokens(24), waveforms)
    assert silent[1] == SyncScore(reason="the sound is silent")
    assert silent[0].desync is not None
    assert silent[2] == score(tokens(24), waveforms[2:])[0]
    networks = MemoryNetworks()
    (found,) = score_sync(networks, tokens(24), torch.zeros(1, 1, 8 * RATE), RATE)
    assert found == SyncScore(reason="the sound is silent")
    assert not networks.placed


def test_channels_in_opposite_phase_are_heard():
    opposite = sound(8) * torch.tensor([1.0, -1.0])[:, None]
    assert score(tokens(24), opposite) == score(tokens(24), sound(8))


def test_a_file_without_head_is_a_reason_and_no_error(tmp_path: Path):
    bundle = tiny_bundle(tmp_path, "small_16k")
    with_head = CachedModels(bundle=bundle)
    assert score_sync(with_head, tokens(24), sound(8), RATE) == score(tokens(24), sound(8))
    without = CachedModels(bundle=replace(bundle, sync_head=None))
    (found,) = score_sync(without, tokens(24), sound(8), RATE)
    assert found.desync is None
    assert found.reason is not None
    assert found.reason.startswith("this Synchformer file holds no synchronisation head (4.")


def test_features_of_another_model_are_refused():
    with pytest.raises(MMAudioError, match="features of width 64, expected 128") as error:
        score(torch.zeros(1, 8 * 24, 64), sound(8))
    assert error.value.problem is Problem.FEATURE_WIDTH


def test_a_sound_with_nan_is_refused():
    waveform = sound(8)
    waveform[0, 0, 3] = torch.nan
    with pytest.raises(MediaError, match="1 of 128000 samples NaN"):
        score(tokens(24), waveform)


def test_progress_counts_to_its_end():
    calls: list[tuple[str, int, int]] = []
    score_sync(NETWORKS, tokens(24), sound(8, 2), RATE, lambda *call: calls.append(call))
    assert {(stage, total) for stage, _, total in calls} == {(SYNC_SCORE_STAGE, 2 * (24 + 5))}
    done = [done for _, done, _ in calls]
    assert done == sorted(done)
    assert set(done) == {0, 48, 58}  # before the segments, the windows, and at the end
    assert len(calls) == 3 + 2 + 1  # before every block, and at the end


@pytest.mark.parametrize("call", [1, 3, 5])
def test_cancelling_stops_within_one_block(call: int):
    with pytest.raises(Cancelled):
        score_sync(NETWORKS, tokens(24), sound(8), RATE, CancelAt(SYNC_SCORE_STAGE, call))


def test_memory_grows_by_little_more_than_the_sound(monkeypatch: pytest.MonkeyPatch):
    """Samples twice, and six tokens a segment; all activations at once would be 1.3 MB/s."""
    NETWORKS.acquire(PartKind.SYNC_HEAD, 0)
    monkeypatch.setattr(scoring, "_SEGMENT_BATCH", 14)
    monkeypatch.setattr(scoring, "_WINDOW_BATCH", 2)

    def megabytes(seconds: int) -> float:
        sync, waveform = tokens(round(seconds / 0.32) - 1), sound(seconds)
        return peak(lambda: score(sync, waveform))

    megabytes(8)  # what is made once, whatever is scored first
    assert (megabytes(64) - megabytes(32)) / 32 < 0.3


def test_requested_memory_covers_the_activations():
    requested: list[int] = []

    class Measured(MemoryNetworks):
        def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
            if kind is PartKind.SYNC_HEAD:
                requested.append(activation_bytes)
            return super().acquire(kind, activation_bytes)

    network = NETWORKS.acquire(PartKind.SYNC_HEAD, 0).network
    assert isinstance(network, SyncHead)
    mel, visual, audio = noise(48, 128, 66), noise(10, 112, 128), noise(10, 84, 128)
    needed = max(
        peak(lambda: network.encode_segments(mel)),
        peak(lambda: network.offset_logits(visual, audio)),
    )
    score_sync(Measured(), tokens(24), sound(8, takes=2), RATE)
    assert needed < requested[0] / 1e6 < 1.5 * needed
