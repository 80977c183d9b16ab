"""Onsets against motion: a click track shifted against flashes, and what cannot be measured."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmaudio_core.audio.onsets import find_onsets
from mmaudio_core.features.motion import MotionMeter
from mmaudio_core.features.visual import TimeRange, VideoClip, extract_visual_features
from mmaudio_core.media import FrameReader
from mmaudio_core.scoring.motion_match import MotionMatch, match_motion, motion_accents

from .made_flashes import FRAMES, SECONDS, clicks, write_flashes
from .made_sounds import heard, with_sound
from .small import MemoryNetworks

RATE = 16_000
SHIFTS = (-0.4, -0.283, -0.1, 0.0, 0.02, 0.15, 0.31, 0.4)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flashes(tmp_path_factory.mktemp("flashes") / "film.mp4")


@pytest.fixture(scope="module")
def motion(film: Path) -> Tensor:
    """As Feature Extract finds it in the film."""
    time_range = TimeRange(duration=Fraction(0), mask_away_clip=True)
    features = extract_visual_features(MemoryNetworks(), VideoClip(source=film), time_range)
    assert features.features.motion is not None
    return features.features.motion


def shifted(shift: float, rate: int = RATE) -> Tensor:
    return clicks([frame / 25 + shift for frame in FRAMES], rate)


def flashing(times: list[float], seconds: float) -> Tensor:
    """Motion of flashes of two frames."""
    motion = torch.full((round(25 * seconds),), 0.001)
    for time in times:
        motion[round(25 * time)] = motion[round(25 * time) + 2] = 0.6
    return motion


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_shift_of_a_click_track_is_found(shift: float, motion: Tensor) -> None:
    """Positive: the sound is late."""
    found = match_motion(motion, shifted(shift), RATE)
    assert found.offset == pytest.approx(shift, abs=0.02)
    assert found.match is not None and 0.5 < found.match <= 1


@pytest.mark.parametrize("shift", [-0.4, 0.13])
def test_from_a_file_of_30_frames_a_second_with_a_sound_track(shift: float, tmp_path: Path) -> None:
    silent = write_flashes(tmp_path / "silent.mp4", (25, 47, 80, 101, 133, 160), 6, rate=30)
    times = [frame / 30 + shift for frame in (25, 47, 80, 101, 133, 160)]
    film = with_sound(silent, tmp_path / "film.mkv", clicks(times, 44_100, 6), 44_100)
    meter = MotionMeter()
    for chunk in FrameReader(film, clip=False):
        meter.add(chunk.sync)
    sound, rate = heard(film)
    assert match_motion(meter.energy, sound, rate).offset == pytest.approx(shift, abs=0.02)


def test_more_in_step_matches_better(motion: Tensor) -> None:
    """Than clicks at other times, whatever the shift."""
    right = match_motion(motion, shifted(0), RATE).match
    wrong = match_motion(motion, clicks([0.5, 1.9, 2.2, 3.5, 4.6, 6.2, 7.1]), RATE).match
    assert right is not None and wrong is not None and right > 0.9 > 0.6 > wrong


def test_a_regular_rhythm_is_taken_at_its_nearest() -> None:
    """It goes on over both ends, so that an offset of a beat more fits as well."""

    def beats(shift: float) -> list[float]:
        return [time for n in range(-2, 20) if 0.05 < (time := 0.44 * n + shift) < 7.85]

    for shift in (-0.16, -0.08, 0.12):
        found = match_motion(flashing(beats(0), 8), clicks(beats(shift)), RATE)
        assert found.offset == pytest.approx(shift, abs=0.02)


def test_strokes_that_are_fastest_where_they_strike() -> None:
    """Motion swells for 0.28 s up to the stroke; on a picture that pans, and without."""
    strokes = [30, 52, 61, 90, 118, 131, 155, 180]
    motion = torch.full((200,), 0.001)
    for stroke in strokes:
        motion[stroke - 6 : stroke + 1] += torch.arange(1, 8) / 7 * 0.02
    sound = clicks([stroke / 25 for stroke in strokes])
    for pan in (0.0, 0.01):
        found = match_motion(motion + pan, sound, RATE)
        assert found.offset == pytest.approx(0, abs=0.07)
        assert found.match is not None and found.match > 0.5


def test_what_moves_steadily_has_no_accents() -> None:
    """Of its first frame nothing is known, as of a video's."""
    motion = torch.full((60,), 0.02)
    motion[0] = 0
    assert motion_accents(motion).abs().max() < 1e-6


def test_a_drift_is_seen_over_time() -> None:
    """The sound runs one percent slow."""
    draw = torch.Generator().manual_seed(1)
    times = (0.5 + (0.4 + 0.8 * torch.rand(36, generator=draw)).cumsum(0)).tolist()
    times = [round(25 * time) / 25 for time in times if time < 29]
    found = match_motion(
        flashing(times, 30), clicks([1.01 * time for time in times], RATE, 30), RATE
    )
    assert len(found.offsets) > 8
    for middle, offset in found.offsets:
        assert offset == pytest.approx(0.01 * middle, abs=0.03)


@pytest.mark.parametrize("noise", [0.0, 0.002, 0.02])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_onsets_are_found_where_the_sound_begins(noise: float, rate: int) -> None:
    times = [0.5013, 1.2571, 2.0, 2.6439]
    found = find_onsets(clicks(times, rate, 4, noise if rate == RATE else noise / 4), rate).times
    assert found == pytest.approx(times, abs=0.016)


@pytest.mark.parametrize(
    ("motion", "sound", "reason"),
    [
        (None, clicks([1, 2]), "there is no video that moves"),
        (torch.zeros(200), clicks([1, 2]), "nothing moves in the picture"),
        (torch.zeros(1), clicks([1, 2]), "0.04 s of sound and picture; at least 2 s are compared"),
        (flashing([1, 2], 8), torch.zeros(1, 8 * RATE), "the sound has no onsets"),
        (flashing([1, 2], 8), 0.1 * torch.ones(1, 8 * RATE), "the sound has no onsets"),
        (
            flashing([1, 2], 8),
            clicks([1], RATE, 1.5),
            "1.50 s of sound and picture; at least 2 s are compared",
        ),
    ],
)
def test_what_cannot_be_measured_says_why(
    motion: Tensor | None, sound: Tensor, reason: str
) -> None:
    assert match_motion(motion, sound, RATE) == MotionMatch(reason=reason)


def test_where_one_is_longer_its_end_is_left_out(motion: Tensor) -> None:
    whole = match_motion(motion, shifted(0.1), RATE).offset
    longer = torch.cat([shifted(0.1), clicks([0.3, 1.1, 1.4], RATE, 3)], dim=1)
    assert match_motion(motion, longer, RATE).offset == pytest.approx(whole, abs=0.005)
    assert match_motion(motion[: 25 * SECONDS // 2], shifted(0.1), RATE).offset == pytest.approx(
        0.1, abs=0.02
    )
