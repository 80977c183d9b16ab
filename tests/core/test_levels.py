"""Silence, clipping and loudness of sounds whose values are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mmaudio_core.scoring.levels import clipping_share, measure_levels, silence_share

from .made_sounds import tone

RATE = 44_100


def sine(seconds: float, peak: float, hertz: float = 997.0) -> Tensor:
    return tone(seconds, hertz, 20 * math.log10(peak / math.sqrt(2)), RATE)


def test_the_silent_share() -> None:
    sound = torch.cat([torch.zeros(1, RATE), sine(2, 0.1), torch.zeros(1, RATE)], dim=1)
    assert silence_share(sound, RATE) == pytest.approx(0.5, abs=0.01)
    assert silence_share(torch.zeros(2, 100), RATE) == 1
    assert silence_share(sine(1, 0.1), RATE) == 0


@pytest.mark.parametrize(("decibels", "share"), [(-59.5, 0.0), (-60.5, 1.0)])
def test_where_silence_begins(decibels: float, share: float) -> None:
    assert silence_share(tone(1, 500, decibels, RATE), RATE) == share


def test_a_sound_in_one_channel_is_no_silence() -> None:
    assert silence_share(torch.cat([sine(1, 0.1), torch.zeros(1, RATE)]), RATE) == 0


def test_a_last_frame_counts_by_its_length() -> None:
    """1.5 frames of 882 samples; the last half of a frame is as loud as its samples are."""
    quiet = torch.zeros(1, 1323)
    quiet[:, 882:] = 0.0012  # -58.4 dBFS; spread over a whole frame it would be -61.4
    assert silence_share(quiet, RATE) == pytest.approx(882 / 1323)


def test_clipped_samples_are_counted() -> None:
    sound = torch.zeros(2, 100)
    sound[0, 10:14] = 1.0
    sound[0, 20:22] = 1.0  # two: may be a wave's peak
    sound[1, :3] = -1.0
    sound[1, 97:] = -1.5
    sound[1, 50:53] = 0.999
    assert clipping_share(sound) == pytest.approx((4 + 3 + 3) / 200)
    assert clipping_share(sound[:, 20:22]) == 0  # shorter than a run


def test_samples_of_16_bits_clip_too() -> None:
    clipped = (sine(1, 4.0).clamp(-1, 1) * 32767).round() / 32768
    # of a sine four times too high, the part above a quarter: 1 - 2/pi * asin(1/4)
    assert clipping_share(clipped) == pytest.approx(1 - 2 / math.pi * math.asin(0.25), abs=0.005)


@pytest.mark.parametrize("hertz", [100, 997])
def test_a_wave_that_just_fits_is_not_clipped(hertz: float) -> None:
    assert clipping_share(sine(1, 1.0, hertz)) == 0
    assert clipping_share(sine(1, 1.1, hertz).clamp(-1, 1)) > 0.1


def test_loudness() -> None:
    """A sine of 997 Hz at full scale has -3.01 LUFS (BS.1770-4, annex 1)."""
    levels = measure_levels(sine(2, 0.1), RATE)
    assert levels.loudness == pytest.approx(-23.01, abs=0.05)
    assert (levels.silence, levels.clipping, levels.reason) == (0, 0, "")


def test_silence_has_no_loudness() -> None:
    for silent in (torch.zeros(1, RATE), tone(1, 997, -80, RATE)):
        levels = measure_levels(silent, RATE)
        assert levels.loudness is None and levels.silence == 1
        assert levels.reason == "the sound is silent, below -70 LUFS"
