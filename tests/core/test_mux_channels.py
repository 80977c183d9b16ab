"""Sound of any number of channels at any rate, in every container and codec; read back."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmaudio_core.audio.channels import LAYOUTS
from mmaudio_core.audio.limiter import true_peak
from mmaudio_core.media import ImageSequence
from mmaudio_core.mux import AudioOptions, FileOptions, MuxResult, mux_audio

from .made_sounds import band, heard, tone, with_sound
from .made_videos import steady, write_video

F = Fraction
RATE = 48_000
FILES = [
    ("mp4", "aac"),
    ("mp4", "opus"),
    ("mp4", "flac"),
    ("mp4", "pcm"),
    ("mov", "aac"),
    ("mov", "pcm"),
    ("mkv", "aac"),
    ("mkv", "opus"),
    ("mkv", "flac"),
    ("mkv", "pcm"),
    ("webm", "opus"),
]
MIXED_DOWN = {"aac": (4, 7), "opus": (5, 7), "flac": (), "pcm": ()}
LEVEL = -30.0
IMAGES = ImageSequence(images=torch.zeros(25, 16, 16, 3), frame_rate=F(25))


def chord(channels: int, rate: int = RATE) -> Tensor:
    """One second with a tone of its own in each channel; the 4th of 6 or more is LFE, so low."""
    return torch.cat([tone(1, hertz(c), LEVEL, rate) for c in range(channels)])


def hertz(channel: int) -> int:
    return 60 if channel == 3 else 500 + 250 * channel


def muxed(
    waveform: Tensor, rate: int, container: str, codec: str, folder: Path, **audio: object
) -> MuxResult:
    return mux_audio(
        IMAGES,
        waveform,
        rate,
        folder / "out",
        audio_options=AudioOptions(**audio),  # pyright: ignore[reportArgumentType]
        file_options=FileOptions(container=container, audio_codec=codec),
    )


def middle(samples: Tensor, rate: int) -> Tensor:
    return samples[rate // 5 : rate // 5 * 4]


@pytest.mark.parametrize(("container", "codec"), FILES)
def test_channels_are_kept_or_mixed_down(container: str, codec: str, tmp_path: Path) -> None:
    for channels in range(1, 9):
        result = muxed(chord(channels), RATE, container, codec, tmp_path)
        got, _ = heard(result.path)
        if channels not in MIXED_DOWN[codec]:
            assert got.shape[0] == channels and not result.notes, channels
            for channel, samples in enumerate(got):
                level = band(middle(samples, RATE), hertz(channel), RATE)
                assert level == pytest.approx(LEVEL, abs=1), (channels, channel)
                for other in set(range(channels)) - {channel}:
                    assert band(middle(samples, RATE), hertz(other), RATE) < LEVEL - 25
        else:
            assert got.shape[0] == 2
            expected = f"{codec} does not take {channels} channels: they were mixed to stereo."
            assert result.notes == (expected,)
            assert band(middle(got[0], RATE), hertz(0)) == pytest.approx(LEVEL, abs=1)
            assert band(middle(got[1], RATE), hertz(1)) == pytest.approx(LEVEL, abs=1)


def test_channels_of_no_layout_become_one(tmp_path: Path) -> None:
    result = muxed(tone(1, 500, LEVEL).expand(16, -1), RATE, "mp4", "flac", tmp_path)
    got, _ = heard(result.path)
    assert result.notes == ("flac does not take 16 channels: they were mixed to mono.",)
    assert got.shape == (1, RATE) and abs(band(got[0], 500) - LEVEL) < 0.1


def test_what_is_mixed_down_does_not_clip(tmp_path: Path) -> None:
    """Four full channels in phase are 4.6 dB over in each of two."""
    result = muxed(tone(1, 500, -4).expand(4, -1), RATE, "mov", "aac", tmp_path)
    got, _ = heard(result.path)
    assert any("do not clip" in note for note in result.notes)
    assert true_peak(got) < 0
    own = mux_audio(
        IMAGES,
        tone(1, 900, LEVEL),
        RATE,
        tmp_path / "kept",
        audio_options=AudioOptions(source_audio="keep_as_track"),
        file_options=FileOptions(container="mov", audio_codec="aac"),
        source_audio=(tone(1, 500, -4).expand(4, -1), RATE),
    )
    assert true_peak(heard(own.path, 1)[0]) < 0
    assert own.notes[0].endswith("as aac, which does not take its 4 channels, in stereo.")


def test_samples_above_full_scale_are_said(tmp_path: Path) -> None:
    """Their peaks are lowered; clipping was silent before."""
    result = muxed(3 * tone(1, 500, -6), RATE, "mov", "pcm", tmp_path)
    (note,) = result.notes
    assert note.startswith("Peaks were lowered by up to 7.")
    got = heard(result.path)[0]
    assert true_peak(got) < -0.9 and band(got[0], 1500) < -70  # no harmonics


@pytest.mark.parametrize(
    ("rate", "codec", "expected"),
    [
        (192_000, "aac", 96_000),
        (192_000, "opus", 48_000),
        (192_000, "flac", 192_000),
        (192_000, "pcm", 192_000),
        (37_800, "aac", 44_100),
        (37_800, "opus", 48_000),
        (37_800, "flac", 37_800),
        (37_800, "pcm", 37_800),
        (24_414, "aac", 32_000),
        (24_414, "opus", 48_000),
        (24_414, "flac", 24_414),
        (24_414, "pcm", 24_414),
        (4_000, "aac", 8_000),
        (1_000, "flac", 1_000),
        (44_056, "aac", 44_100),
        (768_000, "flac", 768_000),
    ],
)
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_rates(rate: int, codec: str, expected: int, container: str, tmp_path: Path) -> None:
    """The next rate that the codec takes; pitch, level and length stay."""
    result = muxed(
        chord(2, rate)[:1] if rate > 2_000 else tone(1, 100, LEVEL, rate),
        rate,
        container,
        codec,
        tmp_path,
    )
    got, got_rate = heard(result.path)
    assert got_rate == expected
    pitch = 500 if rate > 2_000 else 100
    assert band(middle(got[0], got_rate), pitch, got_rate) == pytest.approx(LEVEL, abs=0.5)
    padding = 2 * 1024 if codec == "aac" else 0  # PyAV 14 reads an encoder's from mkv, too
    assert -0.03 < got.shape[1] / got_rate - 1 < max(0.03, (padding + 10) / got_rate)
    lost = (f"{codec} takes up to {expected} Hz, less than {rate} Hz.",)
    assert result.notes == (lost if expected < rate else ())


@pytest.mark.parametrize("mode", ["mix", "duck"])
def test_a_mix_is_stereo(mode: str, tmp_path: Path) -> None:
    """5.1 under 5.1: each is mixed down by the same gains before they are added."""
    result = mux_audio(
        IMAGES,
        chord(6),
        RATE,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio=mode),
        file_options=FileOptions(container="mov", audio_codec="pcm"),
        source_audio=(tone(1, 3000, LEVEL).expand(6, -1), RATE),
    )
    assert result.notes == (
        "A mix with the video's own audio does not take 6 channels: they were mixed to stereo.",
    )
    got, _ = heard(result.path)
    assert got.shape[0] == 2
    center = LEVEL + 20 * math.log10(math.sqrt(0.5))
    for samples in got:
        assert band(middle(samples, RATE), hertz(2)) == pytest.approx(center, abs=0.2)
    three = LEVEL + 20 * math.log10(1 + 2 * math.sqrt(0.5)) - (12 if mode == "duck" else 0)
    assert band(middle(got[0], RATE), 3000) == pytest.approx(three, abs=1.5)


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 6, 8])
def test_sound_that_came_with_images_is_kept_whole(channels: int, tmp_path: Path) -> None:
    result = mux_audio(
        IMAGES,
        tone(1, 900, LEVEL),
        RATE,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio="keep_as_track"),
        source_audio=(chord(channels), RATE),
    )
    got, _ = heard(result.path, 1)
    assert got.shape[0] == channels
    for channel, samples in enumerate(got):
        assert band(middle(samples, RATE), hertz(channel)) == pytest.approx(LEVEL, abs=1)


@pytest.mark.parametrize(
    ("layout", "codec", "expected"),
    [
        ("5.1", "pcm_s16le", 6),  # Matroska does not tell the layout of PCM
        ("5.1", "flac", 6),
        ("5.1(side)", "flac", 6),
        ("7.1", "flac", 8),
        ("3.0", "flac", 3),
        ("2.1", "flac", 2),  # of two channels and LFE
        ("4.0", "flac", 2),
    ],
)
def test_a_file_s_track_that_has_to_be_encoded(
    layout: str, codec: str, expected: int, tmp_path: Path
) -> None:
    channels = {"2.1": 3, "4.0": 4, "5.1(side)": 6}.get(layout) or LAYOUTS.index(layout) + 1
    write_video(tmp_path / "a.mp4", steady(25, 25))
    film = with_sound(
        tmp_path / "a.mp4",
        tmp_path / "film.mkv",
        chord(channels),
        RATE,
        codec=codec,
        layout=layout,
    )
    result = mux_audio(
        film,
        tone(1, 900, LEVEL),
        RATE,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio="keep_as_track"),
        file_options=FileOptions(container="mov"),
    )
    got, _ = heard(result.path, 1)
    assert got.shape[0] == expected
    if expected == channels:
        for channel, samples in enumerate(got):
            assert band(middle(samples, RATE), hertz(channel)) == pytest.approx(LEVEL, abs=1)
    else:
        assert band(middle(got[0], RATE), hertz(0)) == pytest.approx(LEVEL, abs=1)
        assert band(middle(got[1], RATE), hertz(1)) == pytest.approx(LEVEL, abs=1)
