"""MuxAudioVideo in a real ComfyUI: picture copied, sound in sync."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dev.server import ComfyServer
from tests.nodes.graphs import (
    RATE,
    Graph,
    generate,
    muxed,
    node,
    notices,
    paths,
    read_audio,
    run,
    sound,
)

AAC_FRAME = 1024 / RATE


def made(server: ComfyServer, graph: Graph) -> Path:
    """The one file that ``graph`` saves."""
    (path,) = paths(server, run(server, graph))
    return path


def packets(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def streams(path: Path) -> dict[str, Any]:
    """Codec, start and end in seconds, by type of stream."""
    with av.open(path) as container:
        found: dict[str, Any] = {}
        for stream in container.streams:
            assert stream.type not in found
            unit = stream.time_base
            times = [
                (packet.pts * unit, (packet.pts + (packet.duration or 0)) * unit)
                for packet in container.demux(stream)
                if packet.pts is not None
            ]
            container.seek(0)
            found[stream.type] = (
                stream.codec_context.name,
                float(min(start for start, _ in times)),
                float(max(end for _, end in times)),
            )
        return found


def check_step(path: Path) -> None:
    """Sound and picture start within 5 ms of each other and end within an AAC frame."""
    found = streams(path)
    assert set(found) == {"video", "audio"}
    assert found["audio"][0] == "aac"
    assert abs(max(0.0, found["audio"][1]) - found["video"][1]) <= 0.005
    assert abs(found["audio"][2] - found["video"][2]) <= AAC_FRAME + 0.001


@pytest.mark.parametrize("file", ["clip", "clip_with_sound"])
def test_the_picture_is_copied_and_the_sound_replaced(
    comfy: ComfyServer, file: str, request: pytest.FixtureRequest
) -> None:
    name = request.getfixturevalue(file)
    graph = sound(video=name, extract={"duration": 0.0})
    path = made(comfy, muxed(graph, video=["video", 0]))
    assert path.suffix == ".mp4" and path.parent == comfy.output / "test"
    assert packets(path) == packets(comfy.input / name)
    check_step(path)
    got = read_audio(path)[0]
    assert float(got.std()) > 0.01


def test_images_become_h264(comfy: ComfyServer, clip: str) -> None:
    parts = node("GetVideoComponents", video=["video", 0])
    graph = sound(video=clip, extract={"duration": 0.0}, parts=parts)
    path = made(comfy, muxed(graph, images=["parts", 0], frame_rate=["parts", 2]))
    check_step(path)
    assert len(packets(path)) == 50
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.average_rate) == (96, 96, 25)


def test_an_image_lasts_as_long_as_its_sound(comfy: ComfyServer) -> None:
    image = node("EmptyImage", width=63, height=65, batch_size=1, color=255)
    graph = sound(extract={"duration": 1.2}, image=image)
    path = made(comfy, muxed(graph, images=["image", 0], frame_rate=10.0))
    assert len(packets(path)) == 12
    check_step(path)


def test_a_video_made_of_images(comfy: ComfyServer, clip: str) -> None:
    graph = sound(
        video=clip,
        extract={"duration": 0.0},
        parts=node("GetVideoComponents", video=["video", 0]),
        made=node("CreateVideo", images=["parts", 0], fps=25.0),
    )
    path = made(comfy, muxed(graph, video=["made", 0]))
    check_step(path)
    assert len(packets(path)) == 50


def test_takes(comfy: ComfyServer, clip: str) -> None:
    graph = sound(video=clip, extract={"duration": 0.0}, sample={"num_samples": 2, "steps": 2})
    takes = generate(comfy, graph)
    for number, take in enumerate(takes):
        result = run(comfy, muxed(graph, video=["video", 0], take=number))
        got = read_audio(paths(comfy, result)[0])[0][: len(take)]
        likeness = [float(np.corrcoef(got, one[: len(got)])[0, 1]) for one in takes]
        assert likeness[number] > 0.8 and likeness[1 - number] < 0.5, likeness


def test_every_take(comfy: ComfyServer, clip: str) -> None:
    """One file each, all shown; the output is the first."""
    graph = sound(video=clip, extract={"duration": 0.0}, sample={"num_samples": 2, "steps": 2})
    takes = generate(comfy, graph)
    graph = muxed(graph, video=["video", 0], take=-1, audio_codec="pcm")
    save = node(
        "SaveVideo", video=["mux", 0], filename_prefix="test/first", format="auto", codec="auto"
    )
    result = run(comfy, {**graph, "save": save})
    assert "wrote mov" in notices(result)["mux"]
    folder = comfy.output / "test"
    files = [folder / file["filename"] for file in result.outputs["mux"]["images"]]
    (file,) = result.outputs["save"]["images"]
    for path, take in zip([*files, folder / file["filename"]], [*takes, takes[0]], strict=True):
        got = read_audio(path)[0][: len(take)]
        assert float(np.abs(got - take[: len(got)]).max()) < 4 * 2**-15


def test_the_original_as_a_track(comfy: ComfyServer, clip_with_sound: str) -> None:
    graph = sound(video=clip_with_sound, extract={"duration": 0.0}, sample={"seed": 21})
    options = {"original_audio": "keep_as_track", "container": "mkv", "fade_in": 0.2}
    path = made(comfy, muxed(graph, video=["video", 0], **options))
    assert path.suffix == ".mkv"
    with av.open(path) as kept, av.open(comfy.input / clip_with_sound) as source:
        assert len(kept.streams.audio) == 2
        old = [bytes(packet) for packet in source.demux(audio=0) if packet.size]
        copied = [bytes(packet) for packet in kept.demux(audio=1) if packet.size]
        assert copied and old[-len(copied) :] == copied
    assert packets(path) == packets(comfy.input / clip_with_sound)


def test_the_original_of_a_video_made_of_parts(comfy: ComfyServer, clip: str) -> None:
    """Mixed into webm, at the chosen loudness."""
    first = sound(video=clip, extract={"duration": 0.0}, sample={"seed": 22})
    graph = {
        **first,
        "parts": node("GetVideoComponents", video=["video", 0]),
        "made": node("CreateVideo", images=["parts", 0], fps=25.0, audio=["sample", 0]),
    }
    options = {"original_audio": "mix", "container": "webm", "loudness": "-23 LUFS"}
    path = made(comfy, muxed(graph, video=["made", 0], **options))
    found = streams(path)
    assert (path.suffix, found["video"][0], found["audio"][0]) == (".webm", "vp9", "opus")
    assert -26 < 20 * np.log10(read_audio(path)[0].std()) < -16


def test_trimmed_to_the_sound(comfy: ComfyServer, clip: str) -> None:
    graph = sound(video=clip, extract={"duration": 1.0})
    whole = made(comfy, muxed(graph, video=["video", 0]))
    cut = made(comfy, muxed(graph, video=["video", 0], trim_to_audio=True))
    assert len(packets(whole)) == 50 and 25 <= len(packets(cut)) <= 28


def test_the_workflow_is_in_the_file(comfy: ComfyServer, clip: str) -> None:
    """Exactly as SaveVideo writes it."""
    graph = muxed(sound(video=clip, sample={"seed": 23}), video=["video", 0])
    save = node(
        "SaveVideo", video=["video", 0], filename_prefix="test/save", format="auto", codec="auto"
    )
    graph = {**graph, "save": save}
    written = []
    for path in paths(comfy, run(comfy, graph)):
        with av.open(path) as container:
            written.append(container.metadata["prompt"])
    assert written[0] == written[1] and json.loads(written[0])["mux"] == graph["mux"]


@pytest.mark.parametrize("kept", [True, False])
def test_what_the_file_says_of_itself_is_kept_on_demand(
    comfy: ComfyServer, clip: str, kept: bool
) -> None:
    """ComfyUI's workflow has a switch of its own."""
    source = comfy.input / clip
    named = source.with_name("named.mp4")
    with av.open(source) as read, av.open(named, "w") as output:
        output.metadata["title"] = "A title"
        stream = output.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(read.streams.video[0]):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    graph = sound(video=named.name, sample={"seed": 24})
    path = made(comfy, muxed(graph, video=["video", 0], keep_metadata=kept))
    with av.open(path) as container:
        assert container.metadata.get("title") == ("A title" if kept else None)
        assert "prompt" in container.metadata


def test_start_offset(comfy: ComfyServer, clip: str) -> None:
    """Silence first; sound past the end of the picture is cut, with a notice."""
    graph = sound(video=clip, extract={"duration": 0.0})
    result = run(comfy, muxed(graph, video=["video", 0], start_offset=1.0))
    assert "cut at its end" in notices(result)["mux"]
    (path,) = paths(comfy, result)
    check_step(path)
    got = read_audio(path)[0]
    early, late = got[: RATE - 2048], got[RATE + 2048 :]
    assert float(np.abs(early).max()) < 0.01 < float(late.std())


def test_a_start_offset_below_0_leaves_out_the_beginning(comfy: ComfyServer, clip: str) -> None:
    """To the sample; a still picture lasts as long as what is left."""
    graph = sound(video=clip, extract={"duration": 0.0})
    pcm = {"container": "mov", "audio_codec": "pcm"}
    whole = read_audio(made(comfy, muxed(graph, video=["video", 0], **pcm)))
    left = whole[:, round(0.36 * RATE) :]
    path = made(comfy, muxed(graph, video=["video", 0], start_offset=-0.36, **pcm))
    assert np.array_equal(read_audio(path), left)
    image = node("EmptyImage", width=64, height=64, batch_size=1, color=0)
    still = sound(video=clip, extract={"duration": 0.0}, image=image)
    path = made(comfy, muxed(still, images=["image", 0], start_offset=-0.36, **pcm))
    assert np.array_equal(read_audio(path), left)
    assert len(packets(path)) == math.ceil(left.shape[1] / RATE * 25)


def test_names(comfy: ComfyServer, clip: str) -> None:
    """Folders are created, files numbered, and tokens that only the page replaces are kept."""
    first, second = (
        made(
            comfy,
            muxed(
                sound(video=clip, sample={"seed": seed}),
                video=["video", 0],
                filename_prefix="a/b/%date%/clip",
            ),
        )
        for seed in (8, 9)
    )
    folder = comfy.output / "a" / "b" / "%date%"
    assert (first, second) == (folder / "clip_00001_.mp4", folder / "clip_00002_.mp4")
    assert sorted(path.name for path in folder.iterdir()) == [first.name, second.name]


def test_what_comes_out_is_a_video(comfy: ComfyServer, clip: str) -> None:
    """Other nodes can use it: its components are the picture and the new sound."""
    graph = muxed(sound(video=clip, extract={"duration": 0.0}), video=["video", 0])
    result = run(
        comfy,
        {
            **graph,
            "parts": node("GetVideoComponents", video=["mux", 0]),
            "save": node("SaveAudio", audio=["parts", 1], filename_prefix="test/parts"),
        },
    )
    sounds = [path for path in paths(comfy, result) if path.suffix == ".flac"]
    assert abs(read_audio(sounds[0]).shape[1] - 2 * RATE) <= 1024


def test_it_is_previewed(comfy: ComfyServer, clip: str) -> None:
    graph = sound(video=clip, extract={"duration": 0.0}, sample={"seed": 11})
    result = run(comfy, muxed(graph, video=["video", 0]))
    (file,) = result.outputs["mux"]["images"]
    assert file["type"] == "output" and file["subfolder"] == "test"
    assert result.outputs["mux"]["animated"] == [True]
    assert comfy.client.view(file)[4:8] == b"ftyp"
