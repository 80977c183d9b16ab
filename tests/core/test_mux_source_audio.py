"""A video's own audio with rough, repeated or changing timestamps and formats."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import torch

from mmaudio_core.mux import AudioOptions, FileOptions, mux_audio

from .made_sounds import band, heard, tone, with_sound
from .made_videos import steady, write_video

F = Fraction
RATE = 48000
PCM = FileOptions(container="mov", audio_codec="pcm")
MIX = AudioOptions(source_audio="mix")


def mixed_with_silence(video: Path, rate: int = RATE) -> torch.Tensor:
    """The video's own audio (C, T) as it comes out of a mix."""
    result = mux_audio(
        video,
        torch.zeros(1, rate),
        rate,
        video.with_name("out"),
        audio_options=MIX,
        file_options=PCM,
    )
    return heard(result.path)[0]


def test_rounded_timestamps_leave_no_gaps(tmp_path: Path) -> None:
    """Matroska rounds times to milliseconds, which no frame of 4096 samples at 44.1 kHz hits."""
    write_video(tmp_path / "a.mp4", steady(50, 25))
    source = tone(2, 3000, -20, rate=44100)
    film = with_sound(tmp_path / "a.mp4", tmp_path / "film.mkv", source, 44100)
    assert float((mixed_with_silence(film, 44100) - source).abs().max()) < 1e-3


def test_a_mix_ends_with_the_video(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", steady(25, 25))
    film = with_sound(tmp_path / "a.mp4", tmp_path / "film.mkv", tone(4, 500, -20), RATE)
    assert mixed_with_silence(film).shape == (1, RATE)


def test_repeated_packets_are_copied_once(tmp_path: Path) -> None:
    """mp4 refuses two packets of one time."""
    write_video(tmp_path / "a.mp4", steady(50, 25))
    film = with_sound(tmp_path / "a.mp4", tmp_path / "film.mkv", tone(2, 500, -20), RATE)
    with av.open(film) as source, av.open(tmp_path / "twice.mkv", "w") as output:
        streams = {
            stream.index: output.add_stream_from_template(stream, opaque=True)
            for stream in source.streams
        }
        packets = [packet for packet in source.demux() if packet.size]
        count = sum(packet.stream.type == "audio" for packet in packets)
        for packet in packets:
            packet.stream = streams[packet.stream.index]
            for _ in range(1 if packet.stream.type == "video" else 2):
                output.mux(packet)
    result = mux_audio(
        tmp_path / "twice.mkv",
        torch.zeros(1, RATE),
        RATE,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio="keep_as_track"),
    )
    with av.open(result.path) as file:
        assert sum(bool(packet.size) for packet in file.demux(audio=1)) == count


def test_a_format_that_changes_midway(tmp_path: Path) -> None:
    """Channels and rate stay those of the beginning, and so does the time."""
    parts = []
    for channels, rate, begin in ((2, RATE, F(0)), (1, 32000, F(1))):
        write_video(tmp_path / "a.ts", [begin + time for time in steady(25, 25)])
        sound = tone(1, 500, -20, rate=rate).expand(channels, -1)
        part = with_sound(
            tmp_path / "a.ts", tmp_path / "part.ts", sound, rate, codec="aac", offset=begin
        )
        parts.append(part.read_bytes())
    film = tmp_path / "film.ts"
    film.write_bytes(b"".join(parts))
    with av.open(film) as file:
        rates = {frame.sample_rate for frame in file.decode(audio=0)}
    assert rates == {RATE, 32000}
    got = mixed_with_silence(film)
    assert got.shape[0] == 2
    for channel in got:
        for begin, level in ((0.2, -20), (1.2, -23)):  # one channel as two: 3 dB less in each
            part = channel[round(begin * RATE) : round((begin + 0.6) * RATE)]
            assert abs(band(part, 500) - level) < 0.5


def test_sound_that_ends_before_the_part_is_silence(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", steady(50, 25))
    film = with_sound(tmp_path / "a.mp4", tmp_path / "film.mkv", tone(0.5, 500, -20), RATE)
    for mode, tracks in (("mix", 1), ("keep_as_track", 2)):
        result = mux_audio(
            film,
            torch.zeros(1, RATE),
            RATE,
            tmp_path / mode,
            start=F(1),
            audio_options=AudioOptions(source_audio=mode),
            file_options=FileOptions(container="webm"),
        )
        for track in range(tracks):
            assert not heard(result.path, track)[0].any(), (mode, track)
