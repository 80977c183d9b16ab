"""Mixing channels down by ITU-R BS.775, and the loudness of more than two."""

from __future__ import annotations

import math

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from mmaudio_core.audio.channels import (
    LAYOUTS,
    mix_to_mono,
    mix_to_stereo,
    standard_layout,
)
from mmaudio_core.audio.loudness import integrated_loudness, normalize_loudness
from tests.core.made_sounds import tone

RATE = 48_000
HALF = math.sqrt(0.5)


def impulses(channels: int) -> Tensor:
    """(channels, channels): sample n sounds in channel n alone."""
    return torch.eye(channels)


@pytest.mark.parametrize(
    ("channels", "left", "right"),
    [
        (1, [1], [1]),
        (2, [1, 0], [0, 1]),
        (3, [1, 0, HALF], [0, 1, HALF]),
        (4, [1, 0, HALF, 0], [0, 1, 0, HALF]),
        (5, [1, 0, HALF, HALF, 0], [0, 1, HALF, 0, HALF]),
        (6, [1, 0, HALF, 0, HALF, 0], [0, 1, HALF, 0, 0, HALF]),
        (7, [1, 0, HALF, 0, 0.5, HALF, 0], [0, 1, HALF, 0, 0.5, 0, HALF]),
        (8, [1, 0, HALF, 0, HALF, 0, HALF, 0], [0, 1, HALF, 0, 0, HALF, 0, HALF]),
    ],
)
def test_the_gains_of_bs_775(channels: int, left: list[float], right: list[float]) -> None:
    got = mix_to_stereo(impulses(channels))
    assert torch.allclose(got[0], torch.tensor(left, dtype=torch.float32))
    assert torch.allclose(got[-1], torch.tensor(right, dtype=torch.float32))
    mono = torch.tensor([(a + b) / 2 for a, b in zip(left, right, strict=True)])
    assert torch.allclose(mix_to_mono(impulses(channels)), mono)


@pytest.mark.parametrize("channels", range(3, 9))
def test_as_libav_mixes(channels: int) -> None:
    """Its default coefficients are those of BS.775 as well."""
    waveform = torch.randn(channels, 4096, generator=torch.Generator().manual_seed(1)) / 9
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(waveform.T.numpy()).reshape(1, -1), "flt", LAYOUTS[channels - 1]
    )
    frame.sample_rate = RATE
    (mixed,) = av.AudioResampler(format="fltp", layout="stereo").resample(frame)
    assert np.abs(mixed.to_ndarray() - mix_to_stereo(waveform).numpy()).max() < 1e-5


def test_channels_that_cancel_each_other_leave_the_louder_one() -> None:
    """Stereo in opposite phase, as a wrong cable makes it: each take is judged by itself."""
    sound = torch.randn(100, generator=torch.Generator().manual_seed(1))
    pairs = [(sound, -sound), (0.9 * sound, -sound), (sound, -0.5 * sound), (sound, 0 * sound)]
    mono = mix_to_mono(torch.stack([torch.stack(pair) for pair in pairs]))
    expected = [sound, -sound, sound / 4, sound / 2]
    assert torch.allclose(mono, torch.stack(expected))
    assert mix_to_mono(torch.zeros(2, 10)).abs().max() == 0
    assert mix_to_mono(torch.zeros(2, 0)).shape == (0,)


def test_many_channels_are_averaged() -> None:
    waveform = torch.randn(2, 16, 100)
    assert torch.allclose(mix_to_stereo(waveform), waveform.mean(1, keepdim=True))
    assert torch.allclose(mix_to_mono(waveform), waveform.mean(1))


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        *((layout, layout) for layout in LAYOUTS),
        ("5.1(side)", "5.1"),
        ("5.0(side)", "5.0"),
        ("quad(side)", "quad"),
        ("6 channels", "5.1"),
        ("1 channels", "mono"),
        ("downmix", "stereo"),
        ("2.1", "stereo"),
        ("4.0", "stereo"),
        ("hexagonal", "stereo"),
        ("7.1(wide)", "stereo"),
        ("16 channels", "stereo"),
        ("22.2", "stereo"),
    ],
)
def test_layouts_of_files(layout: str, expected: str) -> None:
    positions = [channel.name for channel in av.AudioLayout(layout).channels]
    assert standard_layout(positions) == expected


LUFS = -23.0
FRONT, SIDE = 0.0, 10 * math.log10(1.41)


@pytest.mark.parametrize(
    ("channels", "offsets"),
    [
        (3, [FRONT] * 3),
        (4, [FRONT, FRONT, SIDE, SIDE]),
        (5, [FRONT, FRONT, FRONT, SIDE, SIDE]),
        (6, [FRONT, FRONT, FRONT, -math.inf, SIDE, SIDE]),
        (7, [FRONT, FRONT, FRONT, -math.inf, FRONT, SIDE, SIDE]),
        (8, [FRONT, FRONT, FRONT, -math.inf, FRONT, FRONT, SIDE, SIDE]),
    ],
)
def test_what_each_channel_counts(channels: int, offsets: list[float]) -> None:
    """BS.1770-4, tables 3 and 4: a tone in one channel alone, against the same one in mono."""
    alone = tone(1, 997, -20)
    reference = integrated_loudness(alone, RATE)
    for channel, offset in enumerate(offsets):
        waveform = torch.zeros(channels, RATE)
        waveform[channel] = alone
        assert integrated_loudness(waveform, RATE) == pytest.approx(reference + offset, abs=0.01)


@pytest.mark.parametrize(("channels", "rate"), [(6, 48_000), (8, 44_100), (1, 1_000), (2, 4_000)])
def test_any_sound_is_brought_to_a_loudness(channels: int, rate: int) -> None:
    noise = torch.randn(channels, 2 * rate, generator=torch.Generator().manual_seed(2)) / 50
    result, _ = normalize_loudness(noise, rate, LUFS)
    assert result.shape == noise.shape
    assert integrated_loudness(result, rate) == pytest.approx(LUFS, abs=0.5)
