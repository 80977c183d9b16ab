"""Containers and codecs: what is copied, where the sound begins, and how files appear."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition

from mmaudio_core.errors import MediaError
from mmaudio_core.media import ImageSequence, open_source
from mmaudio_core.mux import AudioOptions, FileOptions, mux_audio
from mmaudio_core.mux.formats import plan_output

from .made_sounds import band, heard, tone, with_sound
from .made_videos import steady, write_video
from .test_mux import click, packets_of, shown_times

F = Fraction
AT = 0.7
"""Seconds where the sound clicks."""
VP9 = {
    "codec": "libvpx-vp9",
    "unit": F(1, 1000),
    "options": {"deadline": "realtime", "cpu-used": "8"},
}
TIMES = {
    "constant": steady(50, 25),
    "variable": [F(i * i, 1000) for i in range(45)],
    "late": [F(5, 3) + time for time in steady(50, 25)],
}
TAKEN = [
    *(("mp4", codec) for codec in ("aac", "opus", "flac", "pcm")),
    *(("mov", codec) for codec in ("aac", "pcm")),
    *(("mkv", codec) for codec in ("aac", "opus", "flac", "pcm")),
    ("webm", "opus"),
]


def first_shown(path: Path) -> Fraction:
    """The first picture's time, from packets that no edit list hides."""
    with av.open(path) as container:
        return min(
            packet.pts * packet.time_base
            for packet in container.demux(video=0)
            if packet.size and not packet.is_discard
        )


def first_heard(path: Path, track: int = 0) -> Fraction:
    """The first sample's time: of the first packet, less what decoders drop of it.

    libav tells edit lists (mp4, mov) and CodecDelay (mkv, webm; Opus's pre-skip) as a time before
    zero, from which the decoder drops samples up to zero.
    """
    with av.open(path) as container:
        stream = container.streams.audio[track]
        times = [
            (packet.pts * packet.time_base, (packet.pts + packet.duration) * packet.time_base)
            for packet in container.demux(stream)
            if packet.size
        ]
        begin, end = times[0]
        return max(begin, F(0)) if end > 0 or begin >= 0 else times[1][0]


def clicked(path: Path, track: int = 0) -> float:
    """When the loudest sample is heard, by the decoder's clock."""
    with av.open(path) as container:
        stream = container.streams.audio[track]
        loudest, when = 0.0, -1.0
        for frame in container.decode(stream):
            samples = abs(frame.to_ndarray().astype("float64"))
            channels = len(frame.layout.channels) if frame.format.is_packed else 1
            samples = samples.reshape(-1, channels).max(1) if channels > 1 else samples.max(0)
            if samples.max() > loudest:
                loudest = float(samples.max())
                begin = frame.pts * float(stream.time_base)
                when = begin + int(samples.argmax()) / frame.sample_rate
        return when


@pytest.mark.parametrize("timing", TIMES)
@pytest.mark.parametrize(("container", "codec"), TAKEN)
def test_sound_begins_with_the_picture(
    container: str, codec: str, timing: str, tmp_path: Path
) -> None:
    """Within 5 ms, by the packets' times and by where a click comes out of the decoder."""
    source = tmp_path / ("a.webm" if container == "webm" else "a.mp4")
    write_video(source, TIMES[timing], **(VP9 if container == "webm" else {}))
    rate = 16000 if codec == "aac" else 44100
    result = mux_audio(
        source,
        click(1.9, rate, 1, AT),
        rate,
        tmp_path / "out",
        file_options=FileOptions(container=container, audio_codec=codec),
    )
    assert result.path.suffix == f".{container}" and result.notes == ()
    assert packets_of(result.path) == packets_of(source)
    begin = first_shown(result.path)
    assert abs(first_heard(result.path) - begin) < F(5, 1000)
    assert abs(clicked(result.path) - float(begin) - AT) < 0.005
    with av.open(result.path) as file:
        name = file.streams.audio[0].codec_context.codec.canonical_name
    assert name == {"pcm": "pcm_s16le"}.get(codec, codec)


def edit_of_sound(path: Path) -> int:
    """The media time of the second track's edit: samples that players are to skip."""
    data = path.read_bytes()
    box = data.index(b"elst", data.index(b"elst") + 4)
    return int.from_bytes(data[box + 16 : box + 20], "big", signed=True)


@pytest.mark.parametrize(("codec", "primed"), [("aac", 1024), ("opus", 312)])
def test_the_encoders_delay_is_in_the_edit_list(codec: str, primed: int, tmp_path: Path) -> None:
    """Read from the bytes themselves, not by what wrote them."""
    write_video(tmp_path / "a.mp4", steady(25, 25))
    result = mux_audio(
        tmp_path / "a.mp4",
        click(1, 48000, 1, AT),
        48000,
        tmp_path / "out",
        file_options=FileOptions(audio_codec=codec),
    )
    assert edit_of_sound(result.path) == primed


def test_images_in_every_container(tmp_path: Path) -> None:
    images = ImageSequence(images=torch.rand(20, 32, 48, 3), frame_rate=F(24000, 1001))
    for container, codec in (("mp4", "h264"), ("mov", "h264"), ("mkv", "h264"), ("webm", "vp9")):
        result = mux_audio(
            images,
            click(20 / 23.976, 48000, 2, AT),
            48000,
            tmp_path / "out",
            file_options=FileOptions(container=container),
        )
        assert (result.container, result.video_codec, result.notes) == (container, codec, ())
        begin = first_shown(result.path)
        assert abs(first_heard(result.path) - begin) < F(5, 1000)
        assert abs(clicked(result.path) - float(begin) - AT) < 0.005
        for got, expected in zip(shown_times(result.path), steady(20, F(24000, 1001)), strict=True):
            assert abs(got - expected) < F(1, 1000)


@pytest.mark.parametrize(
    ("codec", "options", "container", "sound", "copied", "note"),
    [
        ("h264", {}, "mp4", "aac", True, None),
        ("h264", {"audio_codec": "flac"}, "mp4", "flac", True, None),
        ("h264", {"audio_codec": "pcm"}, "mov", "pcm", True, "Few players take pcm in mp4"),
        ("vp9", {"audio_codec": "pcm"}, "mkv", "pcm", True, "Few players take pcm in mp4"),
        ("prores", {"audio_codec": "opus"}, "mkv", "opus", True, "prores does not go into mp4"),
        ("vp9", {"container": "webm"}, "webm", "opus", True, None),
        (
            "vp9",
            {"container": "webm", "audio_codec": "aac"},
            "webm",
            "opus",
            True,
            "encoded as opus",
        ),
        ("h264", {"container": "mov", "audio_codec": "flac"}, "mov", "aac", True, "encoded as aac"),
        ("h264", {"container": "webm"}, "webm", "opus", False, "webm does not take h264: .* VP9"),
        ("prores", {"container": "mp4"}, "mp4", "aac", False, "mp4 does not take prores: .* H.264"),
        ("vp9", {"container": "mov"}, "mov", "aac", False, "mov does not take vp9: .* H.264"),
        (
            "gif",
            {"container": "mkv"},
            "mkv",
            "aac",
            False,
            "gif cannot be copied into a file with audio",
        ),
        ("h264", {"audio_codec": "flac", "bitrate": 64}, "mp4", "flac", True, "no bitrate"),
    ],
)
def test_plans(
    codec: str, options: dict[str, Any], container: str, sound: str, copied: bool, note: str | None
) -> None:
    plan = plan_output(FileOptions(**options), codec)
    assert (plan.container, plan.audio_codec, plan.copies_video) == (container, sound, copied)
    assert len(plan.notes) == (note is not None) + (copied and codec == "prores")
    if note is not None:
        assert __import__("re").search(note, plan.notes[0])


def test_a_codec_that_does_not_fit_is_encoded(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, TIMES["variable"])
    result = mux_audio(
        source,
        click(1.9, 44100, 1, AT),
        44100,
        tmp_path / "out",
        file_options=FileOptions(container="webm"),
    )
    assert (result.container, result.video_codec) == ("webm", "vp9")
    assert result.notes == ("webm does not take h264: the video was encoded as VP9.",)
    times, before = shown_times(result.path), shown_times(source)
    assert len(times) == len(before) + 1  # the last frame, a long one, comes once more
    for got, expected in zip(times, before, strict=False):
        assert abs(got - expected) <= F(1, 1000)
    assert abs(clicked(result.path) - float(first_shown(result.path)) - AT) < 0.005


@pytest.mark.parametrize(
    ("codec", "container", "kept"),
    [
        ("aac", "mp4", "aac"),
        ("libmp3lame", "mp4", "mp3"),
        ("ac3", "mov", "ac3"),
        ("libopus", "mp4", "opus"),
        ("libopus", "mkv", "opus"),
        ("flac", "mkv", "flac"),
        ("pcm_s16le", "mkv", "pcm_s16le"),
        ("pcm_s16le", "mp4", None),
        ("flac", "mov", None),
        ("aac", "webm", None),
    ],
)
def test_the_original_as_a_second_track(
    codec: str, container: str, kept: str | None, tmp_path: Path
) -> None:
    """Its packets as they are where the container takes them; in step; not the one that plays."""
    webm = container == "webm"
    picture = tmp_path / ("a.webm" if webm else "a.mp4")
    write_video(picture, steady(50, 25), **(VP9 if webm else {}))
    old = click(1.9, 48000, 1, 0.4)
    film = with_sound(picture, tmp_path / "film.mkv", old, 48000, codec=codec)
    result = mux_audio(
        film,
        click(1.9, 48000, 1, AT),
        48000,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio="keep_as_track"),
        file_options=FileOptions(container=container),
    )
    begin = float(first_shown(result.path))
    assert abs(clicked(result.path, 0) - begin - AT) < 0.005
    assert abs(clicked(result.path, 1) - clicked(film) - begin) < 0.005
    own = {"webm": "opus"}.get(container, "aac")
    with av.open(result.path) as file, av.open(film) as source:
        new, second = file.streams.audio
        assert new.codec_context.codec.canonical_name == own
        assert second.codec_context.codec.canonical_name == (kept or own)
        assert [bool(s.disposition & Disposition.default) for s in (new, second)] == [True, False]
        if kept:
            assert result.notes == ()
            assert [bytes(p) for p in file.demux(second) if p.size] == [
                bytes(p) for p in source.demux(audio=0) if p.size
            ]
        else:
            (note,) = result.notes
            assert note.startswith(f"{container} does not take ") and own in note


def test_a_kept_tracks_priming_delays_no_picture(tmp_path: Path) -> None:
    """Packets before time 0, hidden in mp4, would make everything else in mkv begin later."""
    write_video(tmp_path / "a.mp4", steady(50, 25))
    old = click(1.9, 48000, 1, 0.4)
    film = with_sound(tmp_path / "a.mp4", tmp_path / "film.mp4", old, 48000, codec="aac")
    result = mux_audio(
        film,
        click(1.9, 48000, 1, AT),
        48000,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio="keep_as_track"),
        file_options=FileOptions(container="mkv"),
    )
    assert first_shown(result.path) == 0
    assert abs(clicked(result.path, 0) - AT) < 0.005
    assert abs(clicked(result.path, 1) - 0.4) < 0.005


def test_a_kept_track_ends_with_the_picture(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", steady(25, 25))
    film = with_sound(tmp_path / "a.mp4", tmp_path / "film.mkv", tone(4, 500, -20), 48000)
    result = mux_audio(
        film,
        tone(1, 500, -20),
        48000,
        tmp_path / "out",
        audio_options=AudioOptions(source_audio="keep_as_track"),
    )
    assert abs(heard(result.path, 1)[0].shape[1] / 48000 - 1) < 0.1


def test_trim_to_audio(tmp_path: Path) -> None:
    """Copied: to the end of the sound and a few reordered pictures; encoded: exactly."""
    source = tmp_path / "a.mp4"
    write_video(source, steady(50, 25))
    file = FileOptions(trim_to_audio=True)
    result = mux_audio(
        source, tone(0.8, 500, -20), 48000, tmp_path / "o", audio_start=F(1, 5), file_options=file
    )
    assert result.notes == ()
    packets = packets_of(result.path)
    assert packets == packets_of(source)[: len(packets)]
    assert 25 <= len(packets) <= 28
    images = ImageSequence(images=torch.rand(50, 16, 16, 3), frame_rate=F(25))
    result = mux_audio(images, tone(1, 500, -20), 48000, tmp_path / "i", file_options=file)
    assert len(packets_of(result.path)) == 25
    whole = mux_audio(source, tone(1, 500, -20), 48000, tmp_path / "w")
    assert len(packets_of(whole.path)) == 50
    longer = mux_audio(source, tone(3, 500, -20), 48000, tmp_path / "l", file_options=file)
    assert len(packets_of(longer.path)) == 50 and "longer than the video" in longer.notes[0]


def test_trim_to_audio_leaves_out_the_frame_at_its_end(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    write_video(source, steady(50, 25), options={"bf": "0"})
    file = FileOptions(trim_to_audio=True)
    result = mux_audio(source, tone(1, 500, -20), 48000, tmp_path / "out", file_options=file)
    assert len(packets_of(result.path)) == 25


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_frame_rate_and_duration_are_stored(container: str, tmp_path: Path) -> None:
    """Also from a transport stream, whose packets do not say how long they last."""
    source = tmp_path / "a.ts"
    write_video(source, steady(50, 25))
    file = FileOptions(container=container)
    result = mux_audio(source, tone(1, 500, -20), 48000, tmp_path / "out", file_options=file)
    with av.open(result.path) as output:
        assert output.streams.video[0].average_rate == 25
        assert output.duration == 2 * av.time_base


def test_a_part_of_a_file(tmp_path: Path) -> None:
    """Encoded from the picture shown where it begins; the original is cut with it."""
    write_video(tmp_path / "a.mp4", steady(75, 25))
    film = with_sound(tmp_path / "a.mp4", tmp_path / "f.mkv", click(2.9, 48000, 1, 1.5), 48000)
    result = mux_audio(
        film,
        torch.zeros(1, 48000),
        48000,
        tmp_path / "out",
        start=F(51, 50),
        duration=F(1),
        audio_options=AudioOptions(source_audio="mix"),
    )
    assert shown_times(result.path) == [F(0), *(F(i, 25) - F(1, 50) for i in range(1, 26))]
    assert abs(clicked(result.path) - 0.48) < 0.005
    assert abs(float(open_source(result.path).info.duration) - 1) < 0.05
    with pytest.raises(
        MediaError, match="starts at 3 s, expected a start within the video, which lasts 3 s"
    ):
        mux_audio(film, torch.zeros(1, 100), 48000, tmp_path / "no", start=F(3))


def test_bitrate_and_quality(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", steady(50, 25))
    noise = 0.1 * torch.randn(2, 96000, generator=torch.Generator().manual_seed(0))
    for codec in ("aac", "opus"):
        sizes = []
        for bitrate in (48, 192):
            result = mux_audio(
                tmp_path / "a.mp4",
                noise,
                48000,
                tmp_path / "out",
                file_options=FileOptions(audio_codec=codec, bitrate=bitrate),
            )
            with av.open(result.path) as container:
                size = sum(packet.size for packet in container.demux(audio=0))
            sizes.append(size)
            assert 0.6 < size * 8 / 2 / 1000 / bitrate < 1.4, (codec, bitrate)
        assert sizes[1] > 2 * sizes[0]
    for bitrate in (1, 512):
        file = FileOptions(audio_codec="opus", bitrate=bitrate)
        mux_audio(tmp_path / "a.mp4", noise[:1], 48000, tmp_path / "out", file_options=file)


def test_ten_bits_are_ten_bits(tmp_path: Path) -> None:
    """A ramp finer than 8 bits keeps its steps."""
    ramp = torch.linspace(0.4, 0.5, 256).view(1, 1, 256, 1).expand(3, 32, -1, 3)
    images = ImageSequence(images=ramp, frame_rate=F(25))
    levels = {}
    for pix_fmt in ("yuv420p", "yuv420p10le"):
        result = mux_audio(
            images,
            torch.zeros(1, 5760),
            48000,
            tmp_path / pix_fmt,
            file_options=FileOptions(pix_fmt=pix_fmt, crf=1),
        )
        with av.open(result.path) as container:
            frame = next(container.decode(video=0))
            assert frame.format.name == pix_fmt
            kind = np.uint8 if pix_fmt == "yuv420p" else np.uint16
            levels[pix_fmt] = len(set(np.frombuffer(frame.planes[0], kind).tolist()))
    assert levels["yuv420p10le"] > 2.5 * levels["yuv420p"]
    vp9 = mux_audio(
        images,
        torch.zeros(1, 5760),
        48000,
        tmp_path / "vp9",
        file_options=FileOptions(container="webm", pix_fmt="yuv420p10le"),
    )
    with av.open(vp9.path) as container:
        used = container.streams.video[0].pix_fmt
    assert used == "yuv420p10le" or "yuv420p was used" in vp9.notes[0]


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm"])
def test_metadata(container: str, tmp_path: Path) -> None:
    told = {"prompt": json.dumps({"1": {"text": '雨 "quoted"'}}), "workflow": "{}"}
    images = ImageSequence(images=torch.zeros(5, 16, 16, 3), frame_rate=F(25))
    result = mux_audio(
        images,
        torch.zeros(1, 9600),
        48000,
        tmp_path / "out",
        file_options=FileOptions(container=container, metadata=told),
    )
    with av.open(result.path) as file:
        got = {key.lower(): value for key, value in file.metadata.items()}
    assert {key: got[key] for key in told} == told
    plain = mux_audio(images, torch.zeros(1, 9600), 48000, tmp_path / "plain")
    assert b"workflow" not in plain.path.read_bytes()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"container": "ogg"}, "got 'ogg' as container, expected one of auto, mp4"),
        ({"audio_codec": "mp3"}, "got 'mp3' as audio codec, expected one of auto, aac"),
        ({"crf": 52}, "got 52 as CRF, expected 0 to 51"),
        ({"bitrate": -1}, "got -1 as bitrate in kbit/s, expected 0 to 512"),
    ],
)
def test_options_that_cannot_be(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(MediaError, match=words):
        FileOptions(**settings)


_KILLED = """
import os, signal, sys, torch
from fractions import Fraction
from pathlib import Path
from mmaudio_core.media import ImageSequence
from mmaudio_core.mux import mux_audio

def progress(stage, done, total):
    if done >= 20:
        os.kill(os.getpid(), signal.SIGKILL)

images = ImageSequence(images=torch.rand(40, 64, 64, 3), frame_rate=Fraction(25))
mux_audio(images, torch.zeros(1, 76800), 48000, Path(sys.argv[1]), progress=progress)
"""
_FULL = """
import sys, torch
from fractions import Fraction
from pathlib import Path
import resource, signal
from mmaudio_core.errors import MediaError
from mmaudio_core.media import ImageSequence
from mmaudio_core.mux import FileOptions, mux_audio

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
images = ImageSequence(images=torch.rand(40, 64, 64, 3), frame_rate=Fraction(25))
try:
    mux_audio(
        images, torch.zeros(1, 76800), 48000, Path(sys.argv[1]), file_options=FileOptions(crf=0)
    )
except MediaError as error:
    print(error)
"""

_FORBIDDEN = """
import os, sys, torch
from fractions import Fraction
from pathlib import Path
from mmaudio_core.errors import MediaError
from mmaudio_core.media import ImageSequence
from mmaudio_core.mux import mux_audio

if os.geteuid() == 0:
    os.seteuid(65534)  # root may write anywhere
images = ImageSequence(images=torch.zeros(5, 16, 16, 3), frame_rate=Fraction(25))
try:
    mux_audio(images, torch.zeros(1, 9600), 48000, Path(sys.argv[1]))
except MediaError as error:
    print(error)
"""


def script(text: str, stem: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import torch; torch.set_num_threads(1)\n" + text, str(stem)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_in_the_middle(tmp_path: Path) -> None:
    """What is left is hidden, and the next run into that folder removes it."""
    done = script(_KILLED, tmp_path / "out")
    assert done.returncode == -9, done.stderr
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".mmaudio-") and left.suffix == ".tmp"
    old = time.time() - 10
    os.utime(left, (old, old))
    images = ImageSequence(images=torch.zeros(5, 16, 16, 3), frame_rate=F(25))
    mux_audio(images, torch.zeros(1, 9600), 48000, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_no_room(tmp_path: Path) -> None:
    """A limit on files' size stands for a full disk: writing fails in the middle."""
    done = script(_FULL, tmp_path / "out")
    assert "could not be written" in done.stdout and "Free some space" in done.stdout, done
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_device_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC itself, also where only closing the file meets it."""
    from mmaudio_core.mux import atomic_output as result

    opened = av.open
    monkeypatch.setattr(
        result.av, "open", lambda _path, *args, **kw: opened("/dev/full", *args, **kw)
    )
    images = ImageSequence(images=torch.zeros(5, 16, 16, 3), frame_rate=F(25))
    for container in ("mkv", "webm"):
        with pytest.raises(MediaError, match="No space left on device"):
            mux_audio(
                images,
                torch.zeros(1, 9600),
                48000,
                tmp_path / "out",
                file_options=FileOptions(container=container),
            )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_no_permission(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    done = script(_FORBIDDEN, folder / "out")
    assert "Permission denied" in done.stdout and "write permission" in done.stdout, done
    assert list(folder.iterdir()) == []


def test_everything_at_once(tmp_path: Path) -> None:
    """Ducked, normalised, faded, trimmed, as Opus in mkv."""
    write_video(tmp_path / "a.mp4", steady(75, 25))
    film = with_sound(tmp_path / "a.mp4", tmp_path / "f.mkv", tone(3, 3000, -20), 48000)
    result = mux_audio(
        film,
        tone(2, 500, -20),
        48000,
        tmp_path / "out",
        audio_options=AudioOptions(
            source_audio="duck", gain_db=3, fade_in=0.1, fade_out=0.1, loudness=-23
        ),
        file_options=FileOptions(
            container="mkv", audio_codec="opus", bitrate=96, trim_to_audio=True
        ),
    )
    got, rate = heard(result.path)
    assert rate == 48000 and abs(got.shape[1] / rate - 2) < 0.05
    difference = band(got[0, 24000:72000], 500) - band(got[0, 24000:72000], 3000)
    assert abs(difference - 15) < 1
