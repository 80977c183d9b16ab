"""Lengths: the published table, and the arithmetic that floats get wrong."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mmaudio_core.config import (
    FORMAT_16K,
    FORMAT_44K,
    audio_format,
    exact_samples,
    exact_seconds,
    sequence_lengths,
    sync_tokens,
)
from mmaudio_core.errors import MMAudioError
from tests.core.small import assert_rows


def test_the_published_table():
    assert_rows("sequence_lengths")


@pytest.mark.parametrize(
    ("seconds", "clip", "frames"),
    [
        (9.28, 74, 232),  # 25 * 9.28 is 231.99999999999997 in floats
        (4.6, 36, 115),
        (8.2, 65, 205),
        (1.16, 9, 29),
        (0.64, 5, 16),
        (Fraction(1001, 125), 64, 200),
    ],
)
def test_frames_are_counted_exactly(seconds: float | Fraction, clip: int, frames: int):
    lengths = sequence_lengths(seconds, FORMAT_44K)
    assert lengths.clip == clip
    assert lengths.sync == sync_tokens(frames)
    assert int(25 * exact_seconds(seconds)) == frames


@pytest.mark.parametrize(
    ("seconds", "latents"),
    [
        (71.68, 3088),  # exactly 3087, but the published floats round up
        (8, 345),
        (8.0, 345),
    ],
)
def test_latents_are_counted_in_the_published_floats(seconds: float, latents: int):
    lengths = sequence_lengths(seconds, FORMAT_44K)
    assert lengths.latent == latents
    assert lengths.samples == latents * 1024


def test_the_latents_of_a_fraction_are_those_of_its_float():
    assert sequence_lengths(Fraction("71.68"), FORMAT_44K).latent == 3088


@pytest.mark.parametrize(("frames", "tokens"), [(15, 0), (16, 8), (23, 8), (24, 16), (200, 192)])
def test_sync_tokens(frames: int, tokens: int):
    assert sync_tokens(frames) == tokens


@pytest.mark.parametrize(
    ("seconds", "rate", "samples"),
    [(8, 44100, 352800), (3.3, 44100, 145530), (0.64, 16000, 10240), (5.005, 16000, 80080)],
)
def test_the_sound_is_as_long_as_asked(seconds: float, rate: int, samples: int):
    assert exact_samples(seconds, rate) == samples
    lengths = sequence_lengths(seconds, FORMAT_44K if rate == 44100 else FORMAT_16K)
    assert lengths.samples >= samples


@pytest.mark.parametrize("seconds", [0, 0.63, -1, Fraction(63, 100)])
def test_too_short_is_refused(seconds: float):
    with pytest.raises(MMAudioError, match=r"got a duration of .* s, expected at least 0\.64 s"):
        sequence_lengths(seconds, FORMAT_16K)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "soon"])
def test_what_is_no_number_is_refused(value: float | str):
    with pytest.raises(MMAudioError, match=r"got .*, expected a finite number of seconds"):
        exact_seconds(value)


def test_formats_by_latent_width():
    assert audio_format(20) is FORMAT_16K
    assert audio_format(40) is FORMAT_44K
    with pytest.raises(MMAudioError, match=r"got latents of width 32, expected 20 .* or 40 "):
        audio_format(32)
