"""What is heard: levels, fades, the original beneath, loudness, peaks; all read back."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import torch
from torch import Tensor

from mmaudio_core.audio.limiter import CEILING, limit_true_peaks, true_peak
from mmaudio_core.audio.loudness import integrated_loudness, normalize_loudness
from mmaudio_core.audio.mixing import ducking_gain, gain_and_fades, mix
from mmaudio_core.audio.resample import resample
from mmaudio_core.errors import MediaError
from mmaudio_core.media import ImageSequence
from mmaudio_core.mux import AudioOptions, FileOptions, mux_audio

from .made_sounds import band, decibels, heard, level_at, tone, with_sound
from .made_videos import steady, write_video

F = Fraction
RATE = 48000
PCM = FileOptions(container="mov", audio_codec="pcm")


def filmed(tmp_path: Path, waveform: Tensor, rate: int = RATE, **settings: Any) -> Path:
    """Two seconds of picture with this sound."""
    write_video(tmp_path / "silent.mp4", steady(50, 25))
    return with_sound(tmp_path / "silent.mp4", tmp_path / "film.mkv", waveform, rate, **settings)


@pytest.mark.parametrize("gain", [-20.0, -6.0, 0.0, 6.0])
def test_gain(gain: float, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", steady(50, 25))
    sound = tone(2, 440, -20)
    result = mux_audio(
        tmp_path / "a.mp4",
        sound,
        RATE,
        tmp_path / "out",
        audio_options=AudioOptions(gain_db=gain),
        file_options=PCM,
    )
    got, _ = heard(result.path)
    assert abs(decibels(got) - (gain - 20)) < 0.05


def test_fades() -> None:
    sound = gain_and_fades(torch.ones(1, 2 * RATE), RATE, gain_db=0, fade_in=0.5, fade_out=1.0)[0]
    for when, expected in ((0.0, 0), (0.25, 0.5), (0.5, 1), (0.9, 1), (1.5, 0.5), (1.9999, 0)):
        assert abs(float(sound[round(when * RATE)]) - expected) < 0.001, when
    assert float(sound.diff().abs().max()) < 2e-4
    short = gain_and_fades(torch.ones(1, 4), RATE, gain_db=0, fade_in=4 / RATE, fade_out=0)
    curve = [(1 - math.cos(math.pi * step / 8)) / 2 for step in (1, 3, 5, 7)]
    assert torch.allclose(short, torch.tensor([curve]))
    long = gain_and_fades(torch.ones(1, 100), RATE, gain_db=0, fade_in=9, fade_out=9)
    assert torch.isfinite(long).all() and float(long[0, 0]) < 0.001


def test_fade_out_ends_with_the_picture(tmp_path: Path) -> None:
    """A sound that is cut at the picture's end fades to there, not to an end nobody hears."""
    write_video(tmp_path / "a.mp4", steady(50, 25))
    options = AudioOptions(fade_out=1)
    result = mux_audio(
        tmp_path / "a.mp4",
        tone(3, 440, -6),
        RATE,
        tmp_path / "o",
        audio_options=options,
        file_options=PCM,
    )
    got, _ = heard(result.path)
    assert abs(level_at(got, 0.5) + 6) < 0.1
    assert abs(level_at(got, 1.5) + 12) < 0.3
    assert level_at(got, 1.97) < -40


def test_mixing_adds_both(tmp_path: Path) -> None:
    """At the higher rate, with the original's two channels, each where it was."""
    old = torch.cat([tone(2, 3000, -20), torch.zeros(1, 2 * RATE)])
    film = filmed(tmp_path, old)
    result = mux_audio(
        film,
        tone(1, 500, -20, rate=16000),
        16000,
        tmp_path / "out",
        audio_start=F(1),
        audio_options=AudioOptions(source_audio="mix", gain_db=-6),
        file_options=PCM,
    )
    got, rate = heard(result.path)
    assert rate == RATE and got.shape == (2, 2 * RATE)
    assert abs(band(got[0], 3000) + 20) < 0.2
    assert band(got[1], 3000) < -80
    for channel in got:
        assert abs(band(channel[RATE:], 500) + 26) < 0.2
        assert band(channel[: RATE - 2000], 500) < -70


@pytest.mark.parametrize("offset", [F(0), F(1, 2)])
def test_the_original_stays_in_step(offset: Fraction, tmp_path: Path) -> None:
    """Also where its track begins later than the picture."""
    old = torch.zeros(1, RATE)
    old[0, RATE // 2] = 0.9
    film = filmed(tmp_path, old, offset=offset)
    result = mux_audio(
        film,
        torch.zeros(1, RATE),
        RATE,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio="mix"),
        file_options=PCM,
    )
    got, _ = heard(result.path)
    assert abs(int(got[0].argmax()) / RATE - 0.5 - offset) < 0.002


def test_ducking_lowers_the_original_and_brings_it_back(tmp_path: Path) -> None:
    film = filmed(tmp_path, tone(2, 3000, -20))
    new = torch.zeros(1, 2 * RATE)
    new[:, : RATE // 2] = tone(0.5, 500, -12)
    result = mux_audio(
        film,
        new,
        RATE,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio="duck"),
        file_options=PCM,
    )
    got, _ = heard(result.path)
    under = got[0, RATE // 4 : RATE // 2]
    assert abs(band(under, 3000) + 32) < 0.7
    assert abs(band(under, 500) + 12) < 0.2
    assert abs(band(got[0, -RATE // 10 :], 3000) + 20) < 0.7


def test_ducking_is_smooth_and_leaves_silence_alone() -> None:
    new = torch.zeros(1, 4 * RATE)
    assert torch.equal(ducking_gain(new, RATE, 4 * RATE), torch.ones(4 * RATE))
    new[:, RATE : 2 * RATE] = 0.5
    gain = 20 * ducking_gain(new, RATE, 5 * RATE).log10()
    assert gain.shape == (5 * RATE,)
    assert abs(float(gain[2 * RATE - 1]) + 12) < 0.2
    assert abs(float(gain[-1])) < 0.1
    assert float(gain.diff().abs().max()) * RATE < 12 / 0.04  # decibels a second


def test_mixed_length_is_the_longer_one() -> None:
    result, rate = mix(torch.ones(1, 100), 16000, torch.ones(2, 900), 48000, duck=False)
    assert rate == 48000 and result.shape == (2, 900)


@pytest.mark.parametrize(("rate", "wanted"), [(16000, 48000), (44100, 48000), (96000, 48000)])
def test_resampling_keeps_time_and_level(rate: int, wanted: int) -> None:
    sound = tone(2, 500, -6, rate=rate)
    got = resample(sound, rate, wanted)
    assert got.shape == (1, 2 * wanted)
    assert float(got[:, -4:].abs().max()) > 0.01  # the resampler's last samples too
    ideal = tone(2, 500, -6, rate=wanted)
    assert float((got - ideal)[:, 2000:-2000].abs().max()) < 1e-3


@pytest.mark.parametrize("target", [-14.0, -16.0, -23.0])
@pytest.mark.parametrize(("channels", "rate"), [(1, 16000), (2, 44100)])
def test_loudness(target: float, channels: int, rate: int, tmp_path: Path) -> None:
    """Within 0.5 LU as read back from AAC, whatever it was before."""
    write_video(tmp_path / "a.mp4", steady(75, 25))
    sound = 0.02 * torch.randn(channels, 3 * rate, generator=torch.Generator().manual_seed(1))
    sound[:, : rate // 2] *= 3
    result = mux_audio(
        tmp_path / "a.mp4",
        sound,
        rate,
        tmp_path / "out",
        audio_options=AudioOptions(loudness=target),
    )
    got, _ = heard(result.path)
    meter = pyloudnorm.Meter(rate)
    assert abs(meter.integrated_loudness(got[:, : 3 * rate].double().T.numpy()) - target) < 0.5
    lossless, _ = normalize_loudness(sound, rate, target)
    assert true_peak(lossless) < CEILING + 0.1


def test_the_reference_tone() -> None:
    """BS.1770: 997 Hz at full scale in one channel is -3.01 LUFS; in two, 3.01 more."""
    sound = tone(3, 997, 20 * math.log10(math.sqrt(0.5)))
    assert abs(integrated_loudness(sound, RATE) + 3.01) < 0.1
    assert abs(integrated_loudness(sound.expand(2, -1), RATE)) < 0.1


def test_peaks_are_limited_not_clipped() -> None:
    """Clicks over quiet noise: -14 LUFS would take them far over full scale."""
    sound = 0.01 * torch.randn(1, 3 * RATE, generator=torch.Generator().manual_seed(2))
    sound[:, RATE // 2 :: RATE] = 0.9
    got, notes = normalize_loudness(sound, RATE, -16)
    assert abs(integrated_loudness(got, RATE) + 16) < 0.5
    assert true_peak(got) < CEILING + 0.1
    (note,) = notes
    assert note.startswith("Peaks were lowered by up to ") and note.endswith("do not clip.")


def test_true_peaks_between_the_samples() -> None:
    """A quarter of the sample rate, an eighth off: 3.01 dB over what any sample shows."""
    time = torch.arange(RATE)
    sound = (0.99 * torch.sin(torch.pi / 2 * time + torch.pi / 4))[None]
    assert abs(true_peak(sound) - 20 * math.log10(0.99)) < 0.1
    assert 20 * math.log10(float(sound.abs().max())) < -3
    got, lowered = limit_true_peaks(1.4 * sound, RATE)
    assert true_peak(got) < CEILING + 0.1 and abs(lowered - 3.8) < 0.3
    quiet, none = limit_true_peaks(0.5 * sound, RATE)
    assert none == 0 and torch.equal(quiet, 0.5 * sound)


def test_limiting_at_the_edges() -> None:
    sound = torch.zeros(1, 2000)
    sound[0, 0] = sound[0, -1] = 3.0
    got, _ = limit_true_peaks(sound, RATE)
    assert true_peak(got) < CEILING + 0.01


def test_silence_and_short_sounds_have_no_loudness_to_reach() -> None:
    got, notes = normalize_loudness(torch.zeros(1, 1000), RATE, -16)
    assert not got.any() and notes == ("The audio is silent, so its loudness was left as it is.",)
    got, _ = normalize_loudness(tone(0.2, 997, -30), RATE, -23)
    assert abs(integrated_loudness(got, RATE) + 23) < 0.5
    _, notes = normalize_loudness(1e-3 * tone(2, 997, 0), RATE, -14)
    assert any("not -14" in note for note in notes)


def test_a_mix_that_is_too_loud_is_limit_true_peaks(tmp_path: Path) -> None:
    film = filmed(tmp_path, tone(2, 3000, -1))
    result = mux_audio(
        film,
        tone(2, 500, -1),
        RATE,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio="mix"),
        file_options=PCM,
    )
    assert any("do not clip" in note for note in result.notes)
    got, _ = heard(result.path)
    assert true_peak(got) < CEILING + 0.2


@pytest.mark.parametrize("original", ["mix", "duck", "keep_as_track"])
def test_no_original_is_a_normal_case(original: str, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", steady(25, 25))
    options = AudioOptions(source_audio=original)
    result = mux_audio(
        tmp_path / "a.mp4", tone(1, 500, -20), RATE, tmp_path / "out", audio_options=options
    )
    assert len(result.notes) == 1 and result.notes[0].startswith(
        "The video has no audio of its own"
    )
    assert abs(decibels(heard(result.path)[0][:, 4800:-4800]) + 20) < 0.5


def test_sound_that_came_with_images(tmp_path: Path) -> None:
    images = ImageSequence(images=torch.zeros(25, 16, 16, 3), frame_rate=F(25))
    result = mux_audio(
        images,
        tone(1, 500, -20),
        RATE,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio="mix"),
        file_options=PCM,
        source_audio=(tone(1, 3000, -26), RATE),
    )
    got, _ = heard(result.path)
    assert abs(band(got[0], 500) + 20) < 0.2 and abs(band(got[0], 3000) + 26) < 0.2


def test_surround_is_folded_into_two_channels(tmp_path: Path) -> None:
    film = filmed(tmp_path, tone(2, 3000, -30).expand(6, -1), layout="5.1")
    result = mux_audio(
        film,
        torch.zeros(1, RATE),
        RATE,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio="mix"),
        file_options=PCM,
    )
    got, _ = heard(result.path)
    assert got.shape[0] == 2 and band(got[0], 3000) > -31


def test_broken_numbers_never_reach_an_encoder(tmp_path: Path) -> None:
    bad = tone(2, 3000, -20)
    bad[0, 500] = torch.nan
    film = filmed(tmp_path, bad, codec="pcm_f32le")
    with pytest.raises(MediaError, match=r"NaN or infinite samples in the video's own audio"):
        mux_audio(
            film,
            tone(1, 500, -20),
            RATE,
            tmp_path / "o",
            audio_options=AudioOptions(source_audio="mix"),
        )
    huge = torch.full((1, RATE), 3e38)
    with pytest.raises(MediaError, match=r"gave NaN or infinity, expected finite samples"):
        mux_audio(film, huge, RATE, tmp_path / "o", audio_options=AudioOptions(gain_db=24))
    images = torch.zeros(5, 16, 16, 3)
    images[3, 0, 0, 0] = torch.inf
    with pytest.raises(MediaError, match="image holds NaN or infinity"):
        mux_audio(
            ImageSequence(images=images, frame_rate=F(25)),
            torch.zeros(1, RATE),
            RATE,
            tmp_path / "o",
            file_options=FileOptions(pix_fmt="yuv420p10le"),
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mkv", "silent.mp4"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"source_audio": "loud"},
            "got 'loud' as handling of the video's own audio, expected one of replace, mix",
        ),
        ({"gain_db": 25.0}, "got 25 as gain in dB, expected -60 to 24"),
        ({"gain_db": math.nan}, "got nan as gain in dB"),
        ({"fade_in": -1.0}, "got -1 as fade-in in seconds, expected 0 to 600"),
        ({"fade_out": math.inf}, "got inf as fade-out in seconds"),
        ({"loudness": 3.0}, "got 3 as loudness in LUFS, expected -70 to 0"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(MediaError, match=words):
        AudioOptions(**settings)


def test_loudness_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyloudnorm", None)
    with pytest.raises(
        MediaError, match=r"pyloudnorm, which is not installed.*pip install pyloudnorm"
    ):
        integrated_loudness(torch.from_numpy(np.ones((1, RATE), np.float32)), RATE)
