"""All judges together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from mmaudio_core.audio.waveform import Audio
from mmaudio_core.checkpoint import PartKind
from mmaudio_core.codec.encode import encode
from mmaudio_core.errors import MediaError
from mmaudio_core.features.types import Features
from mmaudio_core.scoring import voice
from mmaudio_core.scoring.agreement import score_agreement
from mmaudio_core.scoring.rank import ScoreWeights, rank
from mmaudio_core.scoring.score import STAGES, score_takes
from mmaudio_core.scoring.sync import score_sync
from mmaudio_core.scoring.timing import Timing, find_timing
from mmaudio_core.scoring.types import SCORES
from tests.core.made_flashes import FRAMES, SECONDS, clicks
from tests.core.networks import noise
from tests.core.small import MemoryNetworks

NOTHING = ScoreWeights(sync=0, agreement=0, onsets=0, voice=0, silence=0, clipping=0)


def features(seconds: float = 1.0) -> Features:
    """Features of no picture."""
    text = torch.zeros(1, 77, 128)
    return Features(duration=Fraction(seconds), clip=None, sync=None, text=text, negative=text)


def test_what_is_not_asked_for_is_not_measured() -> None:
    networks = MemoryNetworks()
    takes = 0.1 * noise(2, 1, 16000)
    for scores in score_takes(networks, features(), takes, 16000, NOTHING):
        assert set(scores.unmeasured) == {name for name in SCORES if scores.values()[name] is None}
        assert "weight" in scores.unmeasured["desync"]
    assert not networks.placed


def test_sync_is_measured_in_windows() -> None:
    """The same as by the judge itself; nothing else is loaded."""
    networks = MemoryNetworks()
    picture = replace(features(8), sync=noise(1, 8 * 24, 128))
    takes = 0.1 * noise(2, 1, 10 * 16000)
    found = score_takes(networks, picture, takes, 16000, replace(NOTHING, sync=1))
    judged = score_sync(networks, picture.sync, takes[..., : 8 * 16000], 16000)
    assert set(networks.placed) == {PartKind.FLOW, PartKind.SYNC_HEAD}  # FLOW: for its widths
    for one, wanted in zip(found, judged, strict=True):
        assert (one.desync, one.sync_offset) == (wanted.desync, wanted.sync_offset)
        assert one.sync_offsets == tuple(zip(wanted.times, wanted.offsets, strict=True))
    (text,) = score_takes(networks, features(8), takes[:1], 16000, replace(NOTHING, sync=1))
    assert text.desync is None and "no video" in text.unmeasured["desync"]
    assert "no video" in text.unmeasured["sync_offset"]


def test_agreement_of_known_latents_and_of_any_sound() -> None:
    """Sound is encoded; what ends early is not compared with its silence."""
    networks, of, asked = MemoryNetworks(), features(), replace(NOTHING, agreement=1)
    takes = 0.1 * noise(2, 2, 44100)
    found = score_takes(networks, of, takes, 44100, asked)
    latents = encode(networks, Audio(waveforms=takes, sample_rate=44100), of.duration)
    wanted = score_agreement(networks, of, latents)
    assert [one.agreement for one in found] == wanted
    known = score_takes(MemoryNetworks(), of, takes, 44100, asked, latents=latents)
    assert [one.agreement for one in known] == wanted
    other = score_takes(
        networks, of, takes, 44100, asked, latents=latents, judge_agreement=lambda z: [0.5] * len(z)
    )
    assert [one.agreement for one in other] == [0.5, 0.5]
    (short,) = score_takes(networks, of, takes[:1, :, :30000], 44100, asked)
    assert short.agreement is None and "0.68 of 1.00 s" in short.unmeasured["agreement"]


def test_voice_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not measured is not 0; what is measured beside it stays."""
    asked = replace(NOTHING, voice=1)
    takes = 0.1 * noise(2, 2, 16000)
    for scores in score_takes(MemoryNetworks(), features(), takes, 16000, asked):
        assert scores.voice == 0
        assert "voice" not in scores.unmeasured
    monkeypatch.setattr(voice, "_PACKAGE", "no_such_package")
    for scores in score_takes(MemoryNetworks(), features(), takes, 16000, asked):
        assert scores.voice is None
        assert scores.unmeasured["voice"] == voice.INSTALL


def motion_of(frames: Iterable[int], seconds: float = SECONDS) -> Tensor:
    """Motion of a film that flashes for two frames."""
    motion = torch.full((round(25 * seconds),), 0.001)
    for frame in frames:
        motion[frame] = motion[frame + 2] = 0.6
    return motion


def test_sound_of_another_clip_ranks_below() -> None:
    """By onsets alone, which need no weights: pairs of three rhythms, and all others."""
    rhythms = (FRAMES, (12, 45, 66, 82, 110, 131, 150, 184), (27, 40, 53, 97, 125, 146, 163, 177))
    takes = torch.stack([clicks([frame / 25 for frame in frames]) for frames in rhythms])
    weights = replace(NOTHING, onsets=1)
    for right, frames in enumerate(rhythms):
        film = replace(features(SECONDS), motion=motion_of(frames))
        ranking = rank(score_takes(MemoryNetworks(), film, takes, 16000, weights), weights)
        assert ranking.order[0] == right
        first, second, _ = (ranking.totals[take] or 0 for take in ranking.order)
        assert first > 0.8 > 2 * second


def test_a_sound_that_runs_slow_drifts() -> None:
    """By one percent, in 30 s; shifted alone, it does not."""
    draw = torch.Generator().manual_seed(1)
    frames = (12 + (10 + 20 * torch.rand(36, generator=draw)).cumsum(0)).long().tolist()
    frames = [frame for frame in frames if frame < 725]
    film = replace(features(30), motion=motion_of(frames, 30))
    times = [frame / 25 for frame in frames]
    takes = torch.stack(
        [
            clicks([1.01 * time for time in times], seconds=30),
            clicks([time - 0.15 for time in times], seconds=30),
        ]
    )
    found = score_takes(MemoryNetworks(), film, takes, 16000, replace(NOTHING, onsets=1))
    slow, early = (find_timing(one, 30) for one in found)
    assert isinstance(slow, Timing) and isinstance(early, Timing)
    assert slow.drift == pytest.approx(0.01, rel=0.1)
    assert slow.at(0) == pytest.approx(0, abs=0.03)
    assert slow.at(30) == pytest.approx(0.3, abs=0.03)
    assert (early.drift, early.offset) == (0, pytest.approx(-0.15, abs=0.02))


def test_levels_are_those_of_what_is_compared() -> None:
    """A second of sound, and one of silence that the features do not reach."""
    take = torch.cat([0.1 * noise(1, 1, 16000), torch.zeros(1, 1, 16000)], dim=-1)
    (of_one,) = score_takes(MemoryNetworks(), features(1), take, 16000, replace(NOTHING, silence=1))
    (of_two,) = score_takes(
        MemoryNetworks(), features(2), take, 16000, replace(NOTHING, clipping=1)
    )
    assert (of_one.silence, of_one.clipping) == (0, None)
    assert (of_two.silence, of_two.clipping) == (None, 0)
    assert of_one.loudness is not None and of_two.loudness is not None
    (silent,) = score_takes(MemoryNetworks(), features(1), 0 * take, 16000, NOTHING)
    assert silent.loudness is None and "-70 LUFS" in silent.unmeasured["loudness"]


def test_a_judge_of_many_takes_can_be_stopped() -> None:
    """Those without a network, too, between the takes; the stages are those that are named."""
    seen: list[tuple[str, int, int]] = []
    film = replace(features(2), motion=motion_of((20, 33), 2))
    weights = replace(NOTHING, onsets=1, voice=1)
    takes = clicks([0.8, 1.32], seconds=2).expand(3, 1, -1)
    score_takes(
        MemoryNetworks(), film, takes, 16000, weights, progress=lambda *told: seen.append(told)
    )
    assert {stage for stage, _, _ in seen} == {"onsets", "voices"} < set(STAGES)
    assert [told for told in seen if told[0] == "voices"] == [("voices", n, 3) for n in range(4)]


def test_samples_that_are_no_numbers() -> None:
    takes = torch.zeros(2, 1, 16000)
    takes[1, 0, 5] = torch.nan
    with pytest.raises(MediaError, match="1 of 32000 samples NaN"):
        score_takes(MemoryNetworks(), features(), takes, 16000, ScoreWeights())
