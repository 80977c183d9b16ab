"""Sound in a file of its own: what is heard, how long, and what the file says."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
import torch
from torch import Tensor

from mmaudio_core.errors import MediaError
from mmaudio_core.mux import NumberedName, SoundResult, write_sound
from mmaudio_core.mux.boxes import list_boxes, whole_file
from mmaudio_core.mux.options import SOUND_FORMATS

from .made_sounds import band, heard, tone

RATE = 44_100
LEVEL = -30.0
in_each_format = pytest.mark.parametrize("file_format", SOUND_FORMATS)


def write(waveform: Tensor, file_format: str, folder: Path, rate: int = RATE) -> SoundResult:
    return write_sound(waveform, rate, folder / "sound", file_format)


def noise(channels: int, samples: int) -> Tensor:
    return torch.rand(channels, samples, generator=torch.Generator().manual_seed(0)) - 0.5


def test_flac_keeps_24_bits_of_every_channel(tmp_path: Path) -> None:
    for channels in range(1, 9):
        waveform = noise(channels, 10_001)
        result = write(waveform, "flac", tmp_path)
        got, rate = heard(result.path)
        assert (rate, result.notes) == (RATE, ())
        assert got.shape == waveform.shape
        assert float((got - waveform).abs().max()) <= 2**-24, channels


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_m4a_keeps_channels(channels: int, tmp_path: Path) -> None:
    hertz = [500 + 250 * c if c != 3 else 60 for c in range(channels)]  # the 4th of six is LFE
    waveform = torch.cat([tone(1, one, LEVEL, RATE) for one in hertz])
    result = write(waveform, "m4a", tmp_path)
    got, rate = heard(result.path)
    assert (result.path.suffix, len(got), rate, result.notes) == (".m4a", channels, RATE, ())
    for channel, one in zip(got, hertz, strict=True):
        assert band(channel[RATE // 5 : RATE // 5 * 4], one, RATE) == pytest.approx(LEVEL, abs=1)


@pytest.mark.parametrize("samples", [1, 1023, 1024, 1025, 88_337, 352_800])
@pytest.mark.parametrize("rate", [16_000, RATE])
@in_each_format
def test_the_length_is_exact(file_format: str, rate: int, samples: int, tmp_path: Path) -> None:
    path = write(noise(1, samples), file_format, tmp_path, rate).path
    with av.open(path) as container:
        stream = container.streams.audio[0]
        assert stream.duration is not None and stream.time_base is not None
        assert stream.duration * stream.time_base * rate == samples
        assert not stream.start_time


@in_each_format
def test_the_sound_begins_when_it_should(file_format: str, tmp_path: Path) -> None:
    """A click is where it was: the delay of AAC's encoder is hidden."""
    waveform = torch.zeros(1, RATE)
    waveform[0, 30_000] = 0.9
    got, _ = heard(write(waveform, file_format, tmp_path).path)
    assert abs(int(got[0].abs().argmax()) - 30_000) <= 1


@pytest.mark.parametrize(("rate", "expected"), [(37_800, 44_100), (96_000, 96_000), (1000, 8000)])
def test_m4a_of_other_rates(rate: int, expected: int, tmp_path: Path) -> None:
    path = write(tone(1, 100, LEVEL, rate), "m4a", tmp_path, rate).path
    got, got_rate = heard(path)
    assert got_rate == expected
    assert band(got[0][expected // 5 :], 100, expected) == pytest.approx(LEVEL, abs=1)
    with av.open(path) as container:
        assert container.streams.audio[0].duration == expected


def test_what_players_of_m4a_look_for(tmp_path: Path) -> None:
    """Its own brand, and the index before the sound, so that it plays while it loads."""
    path = write(noise(1, 10_000), "m4a", tmp_path).path
    with path.open("rb") as file:
        kinds = [box.kind for box in list_boxes(file, whole_file(file))]
    assert path.read_bytes()[8:12] == b"M4A "
    assert kinds.index(b"moov") < kinds.index(b"mdat")


@in_each_format
def test_tags(file_format: str, tmp_path: Path) -> None:
    tags = {"prompt": '{"1": "\u00e9"}', "workflow": "{}"}
    result = write_sound(noise(1, 99), RATE, tmp_path / "sound", file_format, metadata=tags)
    with av.open(result.path) as container:
        assert {key: container.metadata.get(key) for key in tags} == tags


def test_tags_that_flac_cannot_hold_are_left_out(tmp_path: Path) -> None:
    for size, kept in ((2**24 - 2**16, True), (2**24, False)):
        tags = {"workflow": "x" * size}
        result = write_sound(noise(1, 99), RATE, tmp_path / "sound", "flac", metadata=tags)
        with av.open(result.path) as container:
            assert (container.metadata.get("workflow") == tags["workflow"]) == kept
        assert bool(result.notes) != kept
    assert result.notes == ("The file's tags, 16.8 MB, do not fit into flac: left out.",)


@pytest.mark.parametrize(
    ("channels", "file_format", "note"),
    [
        (4, "m4a", "aac does not take 4 channels: they were mixed to stereo."),
        (9, "m4a", "aac does not take 9 channels: they were mixed to mono."),
        (9, "flac", "flac does not take 9 channels: they were mixed to mono."),
    ],
)
def test_channels_that_are_mixed_down(
    channels: int, file_format: str, note: str, tmp_path: Path
) -> None:
    result = write(tone(1, 500, LEVEL, RATE).expand(channels, -1), file_format, tmp_path)
    assert result.notes == (note,)
    assert len(heard(result.path)[0]) == (2 if channels == 4 else 1)


@in_each_format
def test_samples_above_full_scale(file_format: str, tmp_path: Path) -> None:
    result = write(3 * tone(1, 500, -6, RATE), file_format, tmp_path)
    assert "do not clip" in result.notes[0]
    assert band(heard(result.path)[0][0], 1500, RATE) < -60  # no harmonics


@pytest.mark.parametrize(
    ("waveform", "file_format", "words"),
    [
        (torch.full((1, 9), torch.nan), "flac", "9 of 9 samples NaN or infinite"),
        (torch.zeros(9), "flac", "expected (channels, samples)"),
        (torch.zeros(1, 9), "mp3", "got 'mp3' as format of the file, expected one of flac, m4a"),
    ],
)
def test_what_cannot_be_written(
    waveform: Tensor, file_format: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(MediaError) as caught:
        write(waveform, file_format, tmp_path)
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


@in_each_format
def test_canceling_leaves_nothing(file_format: str, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def cancel(_stage: str, done: int, total: int, /) -> None:
        calls.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sound(noise(1, 5 * RATE), RATE, tmp_path / "a", file_format, progress=cancel)
    assert calls == [(0, 5), (1, 5), (2, 5)]
    assert not list(tmp_path.iterdir())


@in_each_format
def test_a_disk_that_fills_up(file_format: str, small_disk: Path, tmp_path: Path) -> None:
    """In the middle, within the last page, and not at all."""
    waveform = noise(2, 5 * RATE)[:, : RATE if file_format == "flac" else None]
    whole = write(waveform, file_format, tmp_path).path.stat().st_size
    target = NumberedName(folder=small_disk, prefix="sound")
    filler = small_disk / "filler"
    for free in (whole // 2, whole - 1):
        filler.write_bytes(bytes(1024**2 - free // 4096 * 4096))
        with pytest.raises(MediaError) as caught:
            write_sound(waveform, RATE, target, file_format)
        message = str(caught.value)
        for part in (str(small_disk), "No space left on device", "Free some space"):
            assert message.count(part) == 1, message
        assert list(small_disk.iterdir()) == [filler]
    filler.unlink()
    results = [write_sound(waveform, RATE, target, file_format) for _ in range(2)]
    assert [result.path.name for result in results] == [
        f"sound_0000{number}_.{file_format}" for number in (1, 2)
    ]
