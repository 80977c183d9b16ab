"""Positions of windows, and the effect of joins on a known signal."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from mmaudio_core.config import FORMAT_16K, FORMAT_44K, FORMATS, AudioFormat, sequence_lengths
from mmaudio_core.errors import MMAudioError, Problem
from mmaudio_core.sampling.windows import JoinMode, WindowParams, WindowPlan, plan_windows

SECONDS = ("10.01", "10.5", "14.4", "14.8", "16", "20", "30.123", "60", "299.97", "600")


def plan(
    seconds: str | Fraction,
    fmt: AudioFormat = FORMAT_44K,
    cuts: tuple[float, ...] = (),
    join: JoinMode = JoinMode.BLEND,
) -> tuple[WindowPlan, int]:
    """A plan of windows, and the length of the whole latent."""
    duration = Fraction(seconds)
    lengths = sequence_lengths(duration, fmt)
    made = plan_windows(lengths, duration, fmt, WindowParams(join=join), cuts)
    assert made is not None
    return made, lengths.latent


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("join", JoinMode)
@pytest.mark.parametrize("seconds", SECONDS)
def test_weights_sum_to_one_and_windows_end_with_the_job(
    seconds: str, join: JoinMode, fmt: AudioFormat
) -> None:
    made, length = plan(seconds, fmt, (7.0, 15.5), join)
    ones = torch.ones(1, len(made.windows), made.lengths.latent, 1)
    torch.testing.assert_close(made.join(ones, length), torch.ones(1, length, 1))
    whole = sequence_lengths(Fraction(seconds), fmt)
    last = made.windows[-1]
    assert last.latent_start + made.lengths.latent == whole.latent
    assert last.clip_start + made.lengths.clip == whole.clip
    assert last.sync_start + made.lengths.sync == whole.sync
    assert bool((made.weights > 0).any(dim=1).all())


def test_joins_of_windows_that_start_close_together_do_not_overlap() -> None:
    duration = Fraction("12.4")  # windows start 2.2 s apart
    lengths = sequence_lengths(duration, FORMAT_44K)
    made = plan_windows(lengths, duration, FORMAT_44K, WindowParams(overlap=Fraction(4)))
    assert made is not None and len(made.windows) == 3
    shared = torch.zeros(lengths.latent)
    for window, weights in zip(made.windows, made.weights, strict=True):
        shared[window.latent_start : window.latent_start + len(weights)] += (weights > 0).float()
    assert shared.min() == 1 and shared.max() == 2


@pytest.mark.parametrize("seconds", SECONDS)
def test_a_windows_streams_start_together(seconds: str) -> None:
    made, _ = plan(seconds)
    rate = FORMAT_44K.sample_rate / FORMAT_44K.samples_per_latent
    for window in made.windows:
        start = window.sync_start / 8 * 0.32  # seconds: sync segments start every 8 of 25 frames
        assert abs(window.latent_start / rate - start) <= 0.5 / rate + 1e-9
        assert abs(window.clip_start / 8 - start) <= 0.5 / 8


def test_up_to_ten_seconds_is_one_pass() -> None:
    for seconds in ("0.64", "8", "10"):
        lengths = sequence_lengths(Fraction(seconds), FORMAT_44K)
        assert plan_windows(lengths, Fraction(seconds), FORMAT_44K, WindowParams()) is None


def test_the_number_of_windows_grows_with_the_duration() -> None:
    counts = [len(plan(str(s))[0].windows) for s in (60, 120, 240, 480)]
    assert counts == [10, 19, 38, 75]


def test_a_join_lies_on_a_cut() -> None:
    made, length = plan("16", FORMAT_16K, cuts=(5.9,))
    first = made.weights[0]
    assert set(first.tolist()) == {0.0, 1.0}
    assert first.sum().item() == pytest.approx(5.9 * 31.25, abs=1)
    blended, _ = plan("16", FORMAT_16K, cuts=(0.5,))  # not where two windows meet
    assert 0 < blended.weights[0][180] < 1
    assert length == 500


@pytest.mark.parametrize(("window", "overlap"), [(0.5, 0.1), (8, 0), (8, 4.1)])
def test_impossible_windows_are_refused(window: float, overlap: float) -> None:
    with pytest.raises(
        MMAudioError, match=r"got windows of .* s, expected at least 0\.64"
    ) as error:
        WindowParams(window=Fraction(window), overlap=Fraction(overlap))
    assert error.value.problem is Problem.WINDOWS


def test_plans_are_equal_if_their_windows_and_weights_are() -> None:
    """ComfyUI batches the branches of guidance whose plans are equal."""
    first, again = plan("16")[0], plan("16")[0]
    assert first is not again
    assert first == again and hash(first) == hash(again)
    others = (plan("16.5")[0], plan("16", cuts=(5.9,))[0], plan("16", join=JoinMode.AVERAGE)[0])
    assert all(first != other for other in others)
    assert others[1].windows == others[2].windows == first.windows


@pytest.mark.parametrize(
    ("join", "level", "high"),
    [(JoinMode.AVERAGE, 0.70, 0.5), (JoinMode.BLEND, 0.81, 0.7), (JoinMode.INTERLEAVE, 1.0, 3.0)],
)
def test_what_a_join_does_to_a_band_limited_signal(
    join: JoinMode, level: float, high: float
) -> None:
    """Level and energy of the upper band inside joins, relative to the rest.

    Every window holds an independent signal below a quarter of the band, as windows that disagree
    would. Averaging loses level; interleaving keeps it but adds frequencies that neither has.
    """
    made, length = plan("60", join=join)
    ratios = [_join_ratios(made, length, seed) for seed in range(8)]
    got_level, got_high = (sum(r[i] for r in ratios) / len(ratios) for i in (0, 1))
    assert got_level == pytest.approx(level, abs=0.06)
    if join is JoinMode.INTERLEAVE:
        assert got_high > high
    else:
        assert got_high < 1.5


def _join_ratios(made: WindowPlan, length: int, seed: int) -> tuple[float, float]:
    parts = torch.stack(
        [_band_limited(made.lengths.latent, seed * 100 + i) for i in range(len(made.windows))]
    )
    joined = made.join(parts[None], length)[0]
    inside = torch.zeros(length, dtype=torch.bool)
    for window, weights in zip(made.windows, made.weights, strict=True):
        zone = (weights > 0) & (weights < 1)
        if bool(((weights == 0) | (weights == 1)).all()):  # interleave: where weights alternate
            flips = weights.diff().abs() > 0
            zone = torch.cat((flips, flips[-1:]))
        inside[window.latent_start : window.latent_start + len(zone)] |= zone
    level = joined[inside].std() / joined[~inside].std()
    return level.item(), _high_share(joined, inside) / _high_share(joined, ~inside)


def _high_share(signal: Tensor, where: Tensor) -> float:
    """Energy of second differences, which emphasize high frequencies, relative to the energy."""
    bend = signal[2:] - 2 * signal[1:-1] + signal[:-2]
    picked = where[1:-1]
    return (bend[picked].square().mean() / signal[1:-1][picked].square().mean()).item()


def _band_limited(length: int, seed: int) -> Tensor:
    """(length, 8) noise below a quarter of the band, of unit variance."""
    spectrum = torch.fft.rfft(torch.randn(length, 8, generator=_seeded(seed)), dim=0)
    spectrum[math.ceil(len(spectrum) / 4) :] = 0
    signal = torch.fft.irfft(spectrum, n=length, dim=0)
    return signal / signal.std()


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
