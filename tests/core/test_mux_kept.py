"""What belongs to a file stays: tags, chapters, subtitles, data, timecode, covers, all sound."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from av.container import OutputContainer

from mmaudio_core.mux import AudioOptions, FileOptions, MuxResult, mux_audio
from mmaudio_core.mux.kept.subtitle_text import convert_text, has_styles
from mmaudio_core.mux.kept.timecode import shift_timecode

from .made_films import (
    CHAPTERS,
    FONT,
    GPS,
    LINES,
    TAGS,
    TIMECODE,
    Content,
    captions_of,
    content_of,
    picture,
    write_captioned,
    write_film,
)

F = Fraction
pytestmark = pytest.mark.skipif(
    not hasattr(OutputContainer, "add_attachment"),
    reason="the films need a PyAV that can make them",
)
NAMES = {"srt": "subrip", "webvtt": "webvtt", "mov_text": "mov_text"}
OURS = {"prompt": "{}"}


def mux(source: Any, container: str, **options: Any) -> MuxResult:
    part = {name: options.pop(name) for name in ("start", "duration") if name in options}
    return mux_audio(
        source,
        torch.zeros(1, 8000),
        16000,
        options.pop("target"),
        audio_options=AudioOptions(source_audio="keep_as_track"),
        file_options=FileOptions(container=container, metadata=OURS, **options),
        **part,
    )


def expected(film: str, container: str) -> tuple[Content, set[str]]:
    """What a film's copy holds, and the names of what the container cannot hold."""
    mp4 = container in ("mp4", "mov")
    text = {"mkv": "srt", "webm": "webvtt"}[container] if not mp4 else "mov_text"
    if film == "webm" and container == "mkv":
        text = "webvtt"
    unknown = "und" if container == "mp4" else None  # what mp4 says of what has no language
    content = Content(
        tags=TAGS | OURS,
        chapters=CHAPTERS,
        subtitles=((text, "fra", container != "mov"),) if film != "mp4" else (),
        lines=LINES if film != "mp4" else (),
        sound=(
            ("New sound", unknown, True),
            ("Voices", "eng", False),
            ("Original sound", "deu", False),
        ),
        cover=(picture(),) if film != "webm" and container != "webm" else (),
        timecode=TIMECODE,
        data=GPS if film == "mp4" and mp4 else (),
        fonts=(FONT,) if film == container == "mkv" else (),
    )
    lost = {
        "attachments": film == "mkv" and container != "mkv",
        "cover picture": film != "webm" and container == "webm",
        "data track": film == "mp4" and not mp4,
        'track flag "forced"': film != "mp4" and container == "mov",
        'track flag "commentary"': film != "webm" and container in ("mov", "webm"),
    }
    return content, {name for name, is_lost in lost.items() if is_lost}


def told_lost(result: MuxResult) -> set[str]:
    (note,) = [note for note in result.notes if "cannot hold the video's" in note] or [""]
    return set(note.partition("video's ")[2].partition(";")[0].split(", ")) - {""}


@pytest.mark.parametrize("film", ["mkv", "mp4", "webm"])
def test_what_belongs_to_a_file_stays(film: str, tmp_path: Path) -> None:
    """In every container, copied or encoded, and from a file in memory."""
    source = write_film(tmp_path / f"film.{film}")
    for container in ("mp4", "mov", "mkv", "webm"):
        result = mux(source, container, target=tmp_path / container)
        content, lost = expected(film, container)
        assert content_of(result.path) == content, container
        assert told_lost(result) == lost, container
        (before,) = content_of(source).subtitles or [None]
        converted = before is not None and before[0] != content.subtitles[0][0]
        told = [note for note in result.notes if "subtitles: they were converted" in note]
        assert told == (
            [
                f"{container} does not take {NAMES[before[0]]} subtitles: they were converted to"
                f" {NAMES[content.subtitles[0][0]]}."
            ]
            if converted and before
            else []
        ), container
    in_memory = mux(io.BytesIO(source.read_bytes()), "mkv", target=tmp_path / "memory")
    assert content_of(in_memory.path) == expected(film, "mkv")[0]


def test_and_stays_again(tmp_path: Path) -> None:
    """A file that was made by this pack is a source as any other; its workflow is replaced."""
    film = write_film(tmp_path / "film.mkv")
    first = mux(film, "mp4", target=tmp_path / "first").path
    content = content_of(first)
    second = mux_audio(
        first,
        torch.zeros(1, 8000),
        16000,
        tmp_path / "second",
        file_options=FileOptions(metadata={"prompt": "another"}),
    ).path
    expected = content._replace(
        tags=content.tags | {"prompt": "another"}, sound=((None, "und", True),)
    )
    assert content_of(second) == expected
    third = mux(second, "mkv", target=tmp_path / "third").path
    assert content_of(third)._replace(sound=()) == content._replace(
        subtitles=(("srt", "fra", True),), sound=()
    )


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm"])
def test_a_part_of_a_file(container: str, tmp_path: Path) -> None:
    """Times are relative to the part, and what lies outside it is left out."""
    part = {"start": F(1), "duration": F(4, 5)}
    film = write_film(tmp_path / "film.mkv")
    content = content_of(mux(film, container, target=tmp_path / "part", **part).path)
    assert content.chapters == ((0.0, 0.2, "One"), (0.2, 0.8, "Two"))
    assert content.lines == ((0.0, 0.4, LINES[0][2]), (0.6, 0.8, LINES[1][2]))
    assert content.timecode == "01:00:01:00"
    assert content.tags == TAGS | OURS
    if container == "mp4":
        film = write_film(tmp_path / "film.mp4")
        content = content_of(mux(film, container, target=tmp_path / "data", **part).path)
        assert content.data == tuple((time - 1, data) for time, data in GPS[2:])


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("late", [7, 60, 90])
def test_chapters_begin_with_their_pictures(late: int, container: str, tmp_path: Path) -> None:
    """Also where the sound before the picture is kept, and Matroska's muxer delays the picture."""
    source = tmp_path / "late.mkv"
    with av.open(write_film(tmp_path / "film.mkv")) as film, av.open(source, "w") as output:
        copies = {s.index: output.add_stream_from_template(s) for s in list(film.streams)[:2]}
        chapters = film.chapters()
        for chapter in chapters:
            ticks = round(late / 1000 / chapter["time_base"])
            chapter["start"], chapter["end"] = chapter["start"] + ticks, chapter["end"] + ticks
        output.set_chapters(chapters)
        for packet in film.demux(list(film.streams)[:2]):
            if packet.size:
                is_picture = packet.stream.type == "video"
                for name in ("pts", "dts"):
                    setattr(packet, name, (getattr(packet, name) or 0) + is_picture * late)
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    result = mux(source, container, target=tmp_path / "result")
    assert content_of(result.path).chapters == CHAPTERS


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm"])
def test_closed_captions(container: str, tmp_path: Path) -> None:
    """Within the pictures of H.264 they stay, copied or encoded; VP9 has none."""
    bare = write_captioned(tmp_path / "a.h264")
    source = mux(bare, "mkv", target=tmp_path / "source").path
    assert captions_of(source) == [b"\xfc\xc8\xe5"] * 50
    for part in ({}, {"start": F(1)}):
        result = mux(source, container, target=tmp_path / "result", **part)
        captions = set(captions_of(result.path))
        told = any("closed captions" in note for note in result.notes)
        assert (captions, told) == (({b"\xfc\xc8\xe5"}, False), ({None}, True))[container == "webm"]


@pytest.mark.parametrize("film", ["mkv", "mp4"])
@pytest.mark.parametrize("part", [{}, {"start": F(1)}])
def test_privacy(film: str, part: dict[str, Any], tmp_path: Path) -> None:
    """What the file says of itself is left out; ComfyUI's metadata have a switch of their own."""
    source = write_film(tmp_path / f"film.{film}")
    result = mux(source, film, target=tmp_path / "private", keep_metadata=False, **part)
    content = content_of(result.path)
    unknown = "und" if film == "mp4" else None
    assert content._replace(lines=()) == Content(
        tags=OURS,
        subtitles=(("srt", "fra", True),) if film == "mkv" else (),
        sound=(
            ("New sound", unknown, True),
            ("Original sound", "eng", False),
            ("Original sound", "deu", False),
        ),
    )
    assert len(content.lines) == 2 * (film == "mkv")
    written = result.path.read_bytes()
    for secret in (TAGS["title"], TAGS["comment"], CHAPTERS[0][2], "Voices", TIMECODE, GPS[0][1]):
        data = secret if isinstance(secret, bytes) else secret.encode()
        assert data not in written, secret


def test_players_find_the_tags_of_an_mp4(tmp_path: Path) -> None:
    """Also those that look for QuickTime's user data instead of libav's names."""
    film = write_film(tmp_path / "film.mp4")
    data = mux(film, "mp4", target=tmp_path / "tagged").path.read_bytes()
    for kind, name in ((b"\xa9nam", "title"), (b"\xa9ART", "artist"), (b"\xa9cmt", "comment")):
        text = TAGS[name].encode()
        box = kind + len(text).to_bytes(2, "big") + b"\x55\xc4" + text
        assert box in data, name
    assert b"mmaudio_room" not in data and b"~~~" not in data


@pytest.mark.parametrize(
    ("data", "codec", "target", "converted"),
    [
        (b"a <i>b</i> & c", "subrip", "mov_text", b"\0\7a b & c"),
        (b"a <i>b</i> & {\\an8}c", "subrip", "webvtt", b"a b &amp; c"),
        (b"1,0,Default,,0,0,0,,One, {\\i1}two{\\i0}\\Nthree", "ass", "subrip", b"One, two\nthree"),
        (b"<v Ann>one &lt; two", "webvtt", "mov_text", b"\0\x09one < two"),
        (b"\0\x02hi\0\0\0\x16styl", "mov_text", "subrip", b"hi"),
        (b"\0\x06\xfe\xff\0h\0i", "mov_text", "webvtt", b"hi"),
        (b"\0\0", "mov_text", "subrip", b""),
        (b"one\r\n\r\ntwo", "subrip", "webvtt", b"one\ntwo"),
    ],
)
def test_text(data: bytes, codec: str, target: str, converted: bytes) -> None:
    assert convert_text(data, codec, target) == converted


@pytest.mark.parametrize(
    ("data", "codec", "styled"),
    [
        (b"a > b & c", "subrip", False),
        (b"a <i>b</i>", "subrip", True),
        (b"{\\an8}above", "subrip", True),
        (b"<v Ann>one", "webvtt", True),
        (b"one &lt; two", "webvtt", False),
        (b"1,0,Default,,0,0,0,,One, two\\Nthree", "ass", False),
        (b"1,0,Default,,0,0,0,,One {\\i1}two{\\i0}", "ass", True),
        (b"1,0,Sign,,0,0,0,,One", "ass", True),
        (b"\0\x02hi", "mov_text", False),
        (b"\0\x02hi\0\0\0\x16styl", "mov_text", True),
        (b"a <b>", "text", False),
    ],
)
def test_styles(data: bytes, codec: str, styled: bool) -> None:
    assert has_styles(data, codec) == styled


def test_lost_styles_are_told(tmp_path: Path) -> None:
    lines = write_film(tmp_path / "film.mkv").read_bytes()
    styled = tmp_path / "styled.mkv"
    styled.write_bytes(lines.replace(b"Hello, you", b"<b>Hey</b>"))
    notes = mux(styled, "mp4", target=tmp_path / "result").notes
    told = "mp4 does not take subrip subtitles: they were converted to mov_text, without styles."
    assert told in notes


@pytest.mark.parametrize(
    ("timecode", "seconds", "rate", "later"),
    [
        ("01:00:00:00", F(3, 2), F(25), "01:00:01:13"),
        ("23:59:59:24", F(1, 25), F(25), "00:00:00:00"),
        ("00:00:59;29", F(1001, 30000), F(30000, 1001), "00:01:00;02"),
        ("00:09:59;29", F(1001, 30000), F(30000, 1001), "00:10:00;00"),
        ("00:00:00;00", F(3600), F(30000, 1001), "01:00:00;00"),
        ("10:11:12;13", F(0), F(60000, 1001), "10:11:12;13"),
        ("00:00:00;00", F(1), F(25), None),
        ("not a timecode", F(1), F(25), None),
        ("01:00:00:00", F(1), None, None),
    ],
)
def test_timecode(timecode: str, seconds: Fraction, rate: Fraction | None, later: Any) -> None:
    assert shift_timecode(timecode, seconds, rate) == later


@pytest.mark.parametrize("keep_metadata", [True, False])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_other_pictures_are_left_out(container: str, keep_metadata: bool, tmp_path: Path) -> None:
    source = tmp_path / "two.mkv"
    with av.open(source, "w") as file:
        streams = [file.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
        for _ in range(3):
            for stream in streams:
                file.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        for stream in streams:
            file.mux(stream.encode(None))
    result = mux(source, container, target=tmp_path / "a", keep_metadata=keep_metadata)
    assert "The video's other pictures were left out: a result has one." in result.notes
    assert not told_lost(result)
    with av.open(result.path) as file:
        assert len(file.streams.video) == 1
