"""Labels of tracks, and what this PyAV does not keep: as before, or a note says so."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.container import OutputContainer
from av.stream import Disposition

from mmaudio_core.media import ImageSequence
from mmaudio_core.mux import AudioOptions, FileOptions, MuxResult, mux_audio

from .mp4_boxes import add_boxes, box

F = Fraction


def write_sounds(path: Path, languages: list[str], **video: str) -> Path:
    """A second of picture with a sound track of each language, the last one for the blind."""
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.metadata.update(video)
        sounds: list[Any] = []
        for language in languages:
            sounds.append(output.add_stream("aac", rate=48000, layout="mono"))
            sounds[-1].metadata["language"] = language
        sounds[-1].disposition = Disposition.visual_impaired.value
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = number, F(1, 25)
            output.mux(stream.encode(frame))
            for sound in sounds:
                audio = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.float32), "fltp", "mono")
                audio.rate, audio.pts, audio.time_base = 48000, number * 1920, F(1, 48000)
                output.mux(sound.encode(audio))
        for track in (stream, *sounds):
            output.mux(track.encode(None))
    return path


def mux(source: Path, container: str) -> MuxResult:
    return mux_audio(
        source,
        torch.zeros(1, 16000),
        16000,
        source.with_name("out"),
        audio_options=AudioOptions(source_audio="keep_as_track"),
        file_options=FileOptions(container=container),
    )


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_languages_and_flags(container: str, tmp_path: Path) -> None:
    """Also languages that Macintosh had no number for."""
    languages = ["deu", "gsw", "zho", "pt-BR"]
    result = mux(write_sounds(tmp_path / "a.mkv", languages), container)
    with av.open(result.path) as file:
        got = [stream.metadata.get("language") for stream in file.streams.audio[1:]]
        blind = file.streams.audio[4].disposition & Disposition.visual_impaired
    lost = []
    if container == "mkv":
        assert got == languages
    else:
        assert got[:3] == languages[:3]
        lost.append("track language pt-BR")
    if not blind:
        lost.append('track flag "visual impaired"')
    assert bool(blind) == (container != "mov")
    told = f"{container} cannot hold the video's {', '.join(lost)}; another container may."
    assert [note for note in result.notes if "cannot hold" in note] == ([told] if lost else [])


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_a_timecode_is_there_or_told(container: str, tmp_path: Path) -> None:
    """PyAV 14 to 17 give the muxers of mp4 and mov no frame rate to count a copy's by."""
    result = mux(write_sounds(tmp_path / "a.mkv", ["deu"], timecode="01:00:00:00"), container)
    with av.open(result.path) as file:
        tags = {key.lower(): value for key, value in file.streams.video[0].metadata.items()}
    told = any("timecode" in note for note in result.notes)
    assert (tags.get("timecode"), told) in [("01:00:00:00", False), (None, True)]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("keep", [True, False])
def test_workflows_of_the_source(keep: bool, container: str, tmp_path: Path) -> None:
    """Under ComfyUI's names, or as JSON in another tag; a comment in braces is none."""
    graph = {"prompt": "{}", "workflow": '{"nodes": []}', "comment": '{"workflow": "{}"}'}
    words = {"title": "{a title}", "artist": '{"artist": "Ann"}'}
    picture = ImageSequence(images=torch.zeros(5, 64, 64, 3), frame_rate=F(25))
    options = FileOptions(container=container, metadata=graph | words)
    source = mux_audio(picture, torch.zeros(1, 3200), 16000, tmp_path / "a", file_options=options)
    options = FileOptions(container=container, keep_workflow=keep)
    result = mux_audio(
        source.path, torch.zeros(1, 3200), 16000, tmp_path / "b", file_options=options
    )
    with av.open(result.path) as file:
        tags = {key.lower(): value for key, value in file.metadata.items()}
    got = {key: tags[key] for key in graph | words if key in tags}
    assert got == (graph | words if keep else words)
    assert (b"workflow" in result.path.read_bytes()) == keep


def test_chapters_are_there_or_told(tmp_path: Path) -> None:
    source = write_sounds(tmp_path / "a.mp4", ["deu"])
    title = b"\x00" * 8 + b"\x03One"
    chapters = box("chpl", b"\x01" + bytes(7) + b"\x01" + title)
    add_boxes(source, box("udta", chapters), where=("moov",))
    notes = mux(source, "mp4").notes
    told = f"PyAV {av.__version__} does not keep the video's chapters; a newer one does."
    assert (told in notes) == (not hasattr(OutputContainer, "set_chapters"))
    if told not in notes:
        with av.open(tmp_path / "out.mp4") as file:
            assert [chapter["metadata"]["title"] for chapter in file.chapters()] == ["One"]
