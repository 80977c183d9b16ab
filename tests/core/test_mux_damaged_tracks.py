"""Tracks with packets that a muxer refuses: the file is written all the same, and it is told."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.container import OutputContainer

from mmaudio_core.mux import AudioOptions, FileOptions, mux_audio
from mmaudio_core.mux.kept.tracks import KeptTracks

from .made_films import write_film
from .test_mux import packets_of

F = Fraction
DAMAGED = 4
"""Which packet of the sound."""


def write_damaged(path: Path, codec: str, tracks: int) -> Path:
    """A second of picture, and sound of which the last track holds a packet of garbage."""
    whole = io.BytesIO()
    with av.open(whole, "w", format="matroska") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sounds: list[Any] = [
            output.add_stream(codec, rate=48000, layout="stereo") for _ in range(tracks)
        ]
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = number, F(1, 25)
            output.mux(video.encode(frame))
            for sound in sounds:
                audio = av.AudioFrame.from_ndarray(
                    np.zeros((2, 1920), np.float32), "fltp", "stereo"
                )
                audio.rate, audio.pts, audio.time_base = 48000, number * 1920, F(1, 48000)
                output.mux(sound.encode(audio))
        for stream in (video, *sounds):
            output.mux(stream.encode(None))
    with av.open(io.BytesIO(whole.getvalue())) as source, av.open(path, "w") as output:
        copies = [output.add_stream_from_template(s, opaque=True) for s in source.streams]
        numbers = [0] * len(copies)
        for packet in source.demux():
            index = packet.stream.index
            if not packet.size:
                continue
            numbers[index] += 1
            if index == tracks and numbers[index] == DAMAGED:
                packet.update(b"\x11" * packet.size)
            packet.stream = copies[index]
            output.mux(packet)
    return path


def mux(source: Path, container: str) -> Any:
    return mux_audio(
        source,
        torch.zeros(1, 16000),
        16000,
        source.with_name("out"),
        audio_options=AudioOptions(source_audio="keep_as_track"),
        file_options=FileOptions(container=container),
    )


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("codec", ["ac3", "eac3"])
@pytest.mark.parametrize("tracks", [1, 2])
def test_damaged_sound_is_encoded(codec: str, container: str, tracks: int, tmp_path: Path) -> None:
    """mp4's muxer looks into these packets; the other sound track and the picture are copied."""
    source = write_damaged(tmp_path / "a.mkv", codec, tracks)
    result = mux(source, container)
    told = f"The video's own {codec} has damage that {container} does not take: it was encoded as"
    assert any(note.startswith(told) for note in result.notes) == (container != "mkv")
    assert packets_of(result.path) == packets_of(source)
    with av.open(result.path) as file:
        got = [stream.codec_context.name for stream in file.streams.audio]
        packets = [packet for packet in file.demux(file.streams.audio[-1]) if packet.size]
        seconds = sum((packet.duration or 0) * packet.time_base for packet in packets)
    assert got == ["aac", *[codec] * (tracks - 1), codec if container == "mkv" else "aac"]
    assert float(seconds) == pytest.approx(1, abs=0.1)


@pytest.mark.skipif(not hasattr(OutputContainer, "set_chapters"), reason="PyAV 14")
def test_other_damaged_tracks_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever track it is: here subtitles whose times libav refuses."""
    move = KeptTracks._move  # pyright: ignore[reportPrivateUsage]

    def into_the_past(self: KeptTracks, packet: Any, index: int) -> Any:
        moved = move(self, packet, index)
        if moved is not None and moved.pts and moved.pts > 1000:
            moved.pts = moved.dts = 0
        return moved

    monkeypatch.setattr(KeptTracks, "_move", into_the_past)
    source = write_film(tmp_path / "film.mkv")
    result = mux(source, "mkv")
    told = "mkv did not take damaged tracks: subtitle (subrip) left out."
    assert told in result.notes
    assert packets_of(result.path) == packets_of(source)
    with av.open(result.path) as file:
        assert not file.streams.subtitles and len(file.streams.audio) == 3
