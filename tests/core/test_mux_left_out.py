"""A sound that starts before the picture: what lies before it is left out, to the sample."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmaudio_core.audio.loudness import integrated_loudness
from mmaudio_core.audio.waveform import leave_out_beginning
from mmaudio_core.errors import MediaError, Problem
from mmaudio_core.media import ImageSequence
from mmaudio_core.mux import AudioOptions, FileOptions, mux_audio

from .made_sounds import heard, level_at, tone, with_sound
from .made_videos import steady, write_video

F = Fraction
RATE = 48_000
PCM = FileOptions(container="mov", audio_codec="pcm")
IMAGES = ImageSequence(images=torch.zeros(25, 16, 16, 3), frame_rate=F(25))
"""A second of picture."""


def counted(seconds: float, channels: int = 1) -> Tensor:
    """Samples that tell their number: each is 1/32768 above the one before, up to half scale."""
    number = torch.arange(round(seconds * RATE)) % 16_384
    return (number / 32_768).expand(channels, -1)


@pytest.mark.parametrize(
    ("start", "left_out"),
    [(F(-1), 48_000), (F(-1, 100), 480), (F(-1, 96_001), 0), (F(-1, 95_999), 1)],
)
def test_to_the_sample(start: Fraction, left_out: int, tmp_path: Path) -> None:
    sound = counted(2.5, channels=2)
    result = mux_audio(IMAGES, sound, RATE, tmp_path / "out", audio_start=start, file_options=PCM)
    got, rate = heard(result.path)
    assert (got.shape, rate) == ((2, RATE), RATE)
    assert torch.equal(got, sound[:, left_out : left_out + RATE])
    seconds = (sound.shape[1] - left_out - RATE) / RATE
    assert result.notes == (
        f"The audio was {seconds:.3g} s longer than the video and was cut at its end.",
    )


@pytest.mark.parametrize("mode", ["replace", "mix", "duck", "keep_as_track"])
def test_the_original_stays_where_it_is(mode: str, tmp_path: Path) -> None:
    write_video(tmp_path / "silent.mp4", steady(50, 25))
    own, new = torch.zeros(2, 1, 3 * RATE)
    own[0, 30_000] = new[0, 24_000 + 60_000] = 0.5
    own = own[:, : 2 * RATE]
    film = with_sound(tmp_path / "silent.mp4", tmp_path / "film.mkv", own, RATE)
    result = mux_audio(
        film,
        new,
        RATE,
        tmp_path / "out",
        audio_start=F(-1, 2),
        audio_options=AudioOptions(source_audio=mode),
        file_options=PCM,
    )
    got, _ = heard(result.path)
    clicks = torch.nonzero(got[0].abs() > 0.25)[:, 0].tolist()
    assert clicks == ([30_000, 60_000] if mode in ("mix", "duck") else [60_000])
    assert got.shape[1] == 2 * RATE
    if mode == "keep_as_track":
        assert torch.nonzero(heard(result.path, 1)[0][0].abs() > 0.25)[:, 0].tolist() == [30_000]


def test_fades_and_loudness_are_those_of_what_is_left(tmp_path: Path) -> None:
    """Half a second at -6 dBFS is left out of a second at -30."""
    sound = torch.cat([tone(0.5, 997, -6), tone(1, 997, -30)], dim=1)
    options = AudioOptions(fade_in=0.2, loudness=-23)
    result = mux_audio(
        IMAGES,
        sound,
        RATE,
        tmp_path / "out",
        audio_start=F(-1, 2),
        audio_options=options,
        file_options=PCM,
    )
    got, _ = heard(result.path)
    assert integrated_loudness(got, RATE) == pytest.approx(-23, abs=0.2)
    assert level_at(got, 0.1) == pytest.approx(level_at(got, 0.6) - 6, abs=0.3)


def test_the_picture_is_trimmed_to_what_is_left(tmp_path: Path) -> None:
    options = FileOptions(container="mov", audio_codec="pcm", trim_to_audio=True)
    result = mux_audio(
        IMAGES, counted(1), RATE, tmp_path / "out", audio_start=F(-3, 5), file_options=options
    )
    assert result.notes == ()
    assert torch.equal(heard(result.path)[0], counted(1)[:, 28_800:])


@pytest.mark.parametrize("start", [F(-1), F(-600), F(-47_999_9, 480_000)])
def test_nothing_is_left(start: Fraction, tmp_path: Path) -> None:
    for options in (FileOptions(), FileOptions(trim_to_audio=True)):
        with pytest.raises(MediaError, match=r"before the picture and lasts 1 s") as caught:
            mux_audio(
                IMAGES,
                counted(1),
                RATE,
                tmp_path / "out",
                audio_start=start,
                file_options=options,
            )
        assert caught.value.problem is Problem.AUDIO_LEFT_OUT
    assert not list(tmp_path.iterdir())


def test_a_sound_within_the_picture_is_whole() -> None:
    sound = counted(1)
    for start in (F(0), F(3, 2)):
        got, begin = leave_out_beginning(sound, RATE, start)
        assert torch.equal(got, sound) and begin == start
    got, begin = leave_out_beginning(sound, RATE, F(1 - RATE, RATE))
    assert got.tolist() == sound[:, -1:].tolist() and begin == 0
