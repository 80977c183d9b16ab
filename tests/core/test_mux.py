"""Files written: the picture untouched, the sound in its place, whole or not at all."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from torch import Tensor

from mmaudio_core.errors import MediaError
from mmaudio_core.media import FrameReader, ImageSequence, open_source
from mmaudio_core.mux import FileOptions, mux_audio

from .made_videos import numbered, numbers, set_display_matrix, steady, write_video

F = Fraction


def packets_of(path: Path | io.BytesIO) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def shown_times(path: Path) -> list[Fraction]:
    """Times of the decoded frames after the first."""
    with av.open(path) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    return [time - times[0] for time in times]


def sound_of(path: Path) -> tuple[float, float, tuple[int, int]]:
    """(time of the loudest sample, end of the sound) after the first frame, (rate, channels)."""
    with av.open(path) as container:
        first = min(frame.pts * frame.time_base for frame in container.decode(video=0))
    with av.open(path) as container:
        stream = container.streams.audio[0]
        loudest = when = end = 0.0
        for frame in container.decode(stream):
            samples = abs(frame.to_ndarray()).max(0)
            begin = float(frame.pts * stream.time_base - first)
            if samples.max() > loudest:
                loudest = samples.max()
                when = begin + samples.argmax() / frame.sample_rate
            end = begin + frame.samples / frame.sample_rate
        return when, end, (stream.rate, stream.channels)


def click(seconds: float, rate: int, channels: int, at: float) -> Tensor:
    waveform = torch.zeros(channels, round(seconds * rate))
    waveform[:, round(at * rate)] = 1
    return waveform


def not_shown(codec: str, container: str, name: str) -> tuple[str, ...]:
    """The notes on a codec that browsers do not show."""
    return (
        f"Browsers do not show {codec}, so a preview may stay black: for one that they show, set"
        f" container to {container}, which encodes the video as {name}.",
    )


PICTURES = {
    "mp4, B-frames": ("a.mp4", {}),
    "late start": ("a.mp4", {"times": [F(5, 3) + time for time in steady(50, 25)]}),
    "variable": ("a.mp4", {"times": [F(i * i, 1000) for i in range(45)]}),
    "matroska": ("a.mkv", {"unit": F(1, 1000)}),
    "AVI": ("a.avi", {"codec": "mpeg4", "unit": F(1, 25)}),
    "AVI, B-frames": ("a.avi", {"codec": "mpeg4", "unit": F(1, 25), "options": {"bf": "2"}}),
    "VP9": (
        "a.webm",
        {
            "codec": "libvpx-vp9",
            "unit": F(1, 1000),
            "options": {"deadline": "realtime", "cpu-used": "8"},
        },
    ),
}


@pytest.mark.parametrize("case", PICTURES)
def test_picture_is_copied_and_sound_is_in_its_place(case: str, tmp_path: Path) -> None:
    name, settings = PICTURES[case]
    source = tmp_path / name
    write_video(source, **{"times": steady(50, 25), **settings})
    length = open_source(source).info.duration
    sound = click(float(length), 44100, 1, 0.7)
    result = mux_audio(source, sound, 44100, tmp_path / "out.1")
    assert result.path == tmp_path / "out.1.mp4"
    assert result.container == "mp4"
    assert result.notes == (() if source.suffix != ".avi" else not_shown("mpeg4", "webm", "VP9"))
    assert packets_of(result.path) == packets_of(source)
    for got, expected in zip(shown_times(result.path), shown_times(source), strict=True):
        assert abs(got - expected) <= (0 if source.suffix != ".avi" else F(1, 1000))
    when, end, form = sound_of(result.path)
    assert abs(when - 0.7) < 0.005
    assert abs(end - float(length)) <= 1024 / 44100
    assert form == (44100, 1)
    assert sorted(tmp_path.iterdir()) == sorted([source, result.path])


@pytest.mark.parametrize("start", [F(0), F(1, 100), F(61, 100), F(3, 2)])
@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2)])
def test_sound_starts_where_asked(
    start: Fraction, rate: int, channels: int, tmp_path: Path
) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, steady(50, 25))
    sound = click(2 - float(start), rate, channels, 0.2)
    result = mux_audio(source, sound, rate, tmp_path / "out", audio_start=start)
    when, end, form = sound_of(result.path)
    assert abs(when - 0.2 - float(start)) < 0.005
    assert abs(end - 2) <= 1024 / rate
    assert form == (rate, channels)
    assert result.notes == ()


def test_a_trimmed_picture_stays_trimmed(tmp_path: Path) -> None:
    """An edit list hides the frames before the cut; their packets are needed all the same."""
    source = tmp_path / "cut.mp4"
    write_video(tmp_path / "a.mp4", steady(50, 25))
    with av.open(tmp_path / "a.mp4") as whole, av.open(source, "w") as output:
        stream = output.add_stream_from_template(whole.streams.video[0], opaque=True)
        for packet in whole.demux(video=0):
            if packet.size:
                packet.pts -= round(F(2, 5) / packet.time_base)
                packet.dts -= round(F(2, 5) / packet.time_base)
                packet.duration = round(F(1, 25) / packet.time_base)
                packet.stream = stream
                output.mux(packet)
    shown = numbers(torch.cat([chunk.sync for chunk in FrameReader(source)]))
    assert shown == list(range(10, 50))
    result = mux_audio(source, click(1.6, 44100, 1, 1), 44100, tmp_path / "out")
    assert packets_of(result.path) == packets_of(source)
    assert len(packets_of(source)) == 50
    assert numbers(torch.cat([chunk.sync for chunk in FrameReader(result.path)])) == shown
    assert abs(sound_of(result.path)[0] - 1) < 0.005


def test_rotation_survives(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, steady(20, 25), size=(96, 64))
    set_display_matrix(source, 0, 1, -1, 0)
    result = mux_audio(source, torch.zeros(1, 16000), 16000, tmp_path / "out")
    info = open_source(result.path).info
    assert (info.width, info.height) == (64, 96)
    for got, expected in zip(FrameReader(result.path), FrameReader(source), strict=True):
        assert torch.equal(got.clip, expected.clip)


@pytest.mark.parametrize(
    ("name", "settings", "suffix", "notes"),
    [
        (
            "a.webm",
            {"codec": "libvpx", "unit": F(1, 1000), "options": {"deadline": "realtime"}},
            "mkv",
            ("vp8 does not go into mp4: wrote mkv.",),
        ),
        (
            "a.mov",
            {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
            "mov",
            ("prores does not go into mp4: wrote mov.", *not_shown("prores", "mp4", "H.264")),
        ),
    ],
)
def test_other_containers(
    name: str, settings: dict, suffix: str, notes: tuple[str, ...], tmp_path: Path
) -> None:
    source = tmp_path / name
    write_video(source, steady(25, 25), **settings)
    result = mux_audio(source, click(1, 44100, 2, 0.5), 44100, tmp_path / "out")
    assert result.path == tmp_path / f"out.{suffix}"
    assert (result.container, result.notes) == (suffix, notes)
    assert packets_of(result.path) == packets_of(source)
    assert abs(sound_of(result.path)[0] - 0.5) < 0.005


def test_animations_are_encoded(tmp_path: Path) -> None:
    source = tmp_path / "a.gif"
    times = [F(i * (i + 5), 100) for i in range(12)]
    write_video(source, times, codec="gif", pix_fmt="rgb8", unit=F(1, 100))
    result = mux_audio(source, click(1, 44100, 1, 0.5), 44100, tmp_path / "out")
    assert (result.video_codec, result.container) == ("h264", "mp4")
    assert result.notes == (
        "gif cannot be copied into a file with audio: the video was encoded as H.264.",
    )
    assert shown_times(result.path) == times
    assert numbers(torch.cat([c.sync for c in FrameReader(result.path, duration=F(1))])) == numbers(
        torch.cat([c.sync for c in FrameReader(source, duration=F(1))])
    )
    assert abs(sound_of(result.path)[0] - 0.5) < 0.005


def test_sound_past_the_end_is_cut(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, steady(50, 25))
    result = mux_audio(source, torch.zeros(1, 16000 * 3), 16000, tmp_path / "out", audio_start=F(1))
    assert result.notes == ("The audio was 2 s longer than the video and was cut at its end.",)
    assert abs(sound_of(result.path)[1] - 2) <= 1024 / 16000
    short = mux_audio(source, torch.zeros(1, 8000), 16000, tmp_path / "short")
    assert short.notes == ()
    assert packets_of(short.path) == packets_of(source)


def test_memory_as_source_and_the_source_as_target(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, steady(25, 25))
    packets = packets_of(source)
    data = io.BytesIO(source.read_bytes())
    result = mux_audio(data, torch.zeros(1, 16000), 16000, tmp_path / "memory")
    assert packets_of(result.path) == packets
    result = mux_audio(source, torch.zeros(1, 16000), 16000, tmp_path / "a")
    assert result.path == source
    assert packets_of(source) == packets
    assert sound_of(source)[2] == (16000, 1)


IMAGES = ImageSequence(
    images=torch.stack([torch.from_numpy(numbered(i, 97, 65)) for i in range(24)]).float() / 255,
    frame_rate=F(12),
)


@pytest.mark.parametrize("rate", [F(12), F(24000, 1001), F(23.976)])
def test_images_are_encoded(rate: Fraction, tmp_path: Path) -> None:
    images = ImageSequence(images=IMAGES.images, frame_rate=rate)
    length = 24 / rate
    sound = click(float(length), 44100, 1, 0.6)
    result = mux_audio(images, sound, 44100, tmp_path / "out")
    assert (result.path, result.video_codec) == (tmp_path / "out.mp4", "h264")
    info = open_source(result.path).info
    assert (info.width, info.height) == (98, 66)
    assert abs(info.duration - length) < F(1, 1000)
    with av.open(result.path) as container:
        context = container.streams.video[0].codec_context
        assert context.pix_fmt == "yuv420p" and context.colorspace == 1
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    got = torch.stack([torch.from_numpy(frame) for frame in frames]).float()[:, :65, :97] / 255
    assert (got - images.images).abs().mean() < 0.02
    for time, expected in zip(shown_times(result.path), steady(24, rate), strict=True):
        assert abs(time - expected) < F(1, 1000)
    when, end, _ = sound_of(result.path)
    assert abs(when - 0.6) < 0.005
    assert abs(end - float(length)) <= 1024 / 44100


def test_pixel_format_and_quality(tmp_path: Path) -> None:
    sound = torch.zeros(1, 16000)
    full = mux_audio(
        IMAGES, sound, 16000, tmp_path / "a", file_options=FileOptions(pix_fmt="yuv444p", crf=0)
    )
    info = open_source(full.path).info
    assert (info.width, info.height) == (97, 65)
    small = mux_audio(IMAGES, sound, 16000, tmp_path / "b", file_options=FileOptions(crf=45))
    assert sum(map(len, packets_of(small.path))) < sum(map(len, packets_of(full.path)))
    with pytest.raises(
        MediaError, match="got 'nothing' as pixel format, expected one that libav knows"
    ):
        mux_audio(IMAGES, sound, 16000, tmp_path / "c", file_options=FileOptions(pix_fmt="nothing"))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("waveform", "rate", "start", "words"),
    [
        (
            torch.full((1, 16000), torch.nan),
            16000,
            F(0),
            "got audio with 16000 of 16000 samples NaN or inf",
        ),
        (torch.tensor([[0.0, torch.inf]]), 16000, F(0), "got audio with 1 of 2 samples NaN or inf"),
        (torch.zeros(1, 0), 16000, F(0), r"shape \(1, 0\), expected \(channels, samples\)"),
        (
            torch.zeros(1, 1, 16000),
            16000,
            F(0),
            r"shape \(1, 1, 16000\), expected \(channels, samples\)",
        ),
        (torch.zeros(0, 16000), 16000, F(0), r"shape \(0, 16000\), expected \(channels, samples\)"),
        (
            torch.zeros(1, 16000),
            25,
            F(0),
            "got 25 as sample rate, expected a number",
        ),
        (torch.zeros(1, 16000), 16000, F(2), "start at 2 s of a video that lasts 2 s; expected"),
        (torch.zeros(1, 16000), 16000, F(-1), "expected one that goes on in the picture"),
    ],
)
def test_what_cannot_be_muxed(
    waveform: Tensor, rate: int, start: Fraction, words: str, tmp_path: Path
) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, steady(50, 25))
    with pytest.raises(MediaError, match=words):
        mux_audio(source, waveform, rate, tmp_path / "out", audio_start=start)
    with pytest.raises(MediaError, match=words):
        mux_audio(IMAGES, waveform, rate, tmp_path / "out", audio_start=start)
    assert list(tmp_path.iterdir()) == [source]


def test_loud_samples_are_clipped(tmp_path: Path) -> None:
    result = mux_audio(IMAGES, 100 * torch.ones(1, 16000), 16000, tmp_path / "out")
    with av.open(result.path) as container:
        peak = max(abs(frame.to_ndarray()).max() for frame in container.decode(audio=0))
    assert 0.9 < peak < 1.5


class Cancelled(OSError):
    """Even this passes through, though writing turns the file system's own into MediaError."""


@pytest.mark.parametrize("after", [0, 1, 20])
def test_cancelling_leaves_nothing(after: int, tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, steady(50, 25))
    old = tmp_path / "out.mp4"
    old.write_bytes(b"an older file")

    def cancel(_stage: str, done: int, _total: int) -> None:
        if done >= after:
            raise Cancelled

    with pytest.raises(Cancelled):
        mux_audio(source, torch.zeros(1, 16000), 16000, tmp_path / "out", progress=cancel)
    with pytest.raises(Cancelled):
        mux_audio(IMAGES, torch.zeros(1, 16000), 16000, tmp_path / "out", progress=cancel)
    assert sorted(tmp_path.iterdir()) == [source, old]
    assert old.read_bytes() == b"an older file"


def test_progress_counts_up(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, steady(50, 25))
    for stage, video in (("mux", source), ("encode", IMAGES)):
        calls: list[tuple[str, int, int]] = []
        mux_audio(
            video,
            torch.zeros(1, 16000),
            16000,
            tmp_path / "out",
            progress=lambda *call, calls=calls: calls.append(call),
        )
        done = [call[1] for call in calls]
        assert {(name, total) for name, _, total in calls} == {(stage, 50)}
        assert done == sorted(done) and done[-1] == 50


def test_nowhere_to_write(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, steady(25, 25))
    with pytest.raises(MediaError, match=r"could not be written .*; expected an existing folder"):
        mux_audio(source, torch.zeros(1, 16000), 16000, tmp_path / "none" / "out")
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(MediaError, match="could not be written"):
        mux_audio(source, torch.zeros(1, 16000), 16000, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "out.mp4"]
