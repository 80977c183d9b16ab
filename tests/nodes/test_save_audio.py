"""MMAudioSaveAudio in a real ComfyUI: a file for each take, named, played and passed on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dev.client import Result
from dev.server import ComfyServer
from tests.nodes.graphs import (
    RATE,
    Graph,
    failure,
    generate,
    node,
    notices,
    paths,
    read_audio,
    run,
    same,
    saved,
    sound,
)


def kept(graph: Graph, **inputs: Any) -> Graph:
    """``graph`` with node ``keep``."""
    defaults = {"audio": ["sample", 0], "filename_prefix": "test/sound", "format": "flac"}
    return {**graph, "keep": node("MMAudioSaveAudio", **defaults | inputs)}


def written(server: ComfyServer, result: Result) -> list[Path]:
    """The files, as the node tells the page of them."""
    told = result.outputs["keep"]["audio"]
    assert all(set(file) == {"filename", "subfolder", "type"} for file in told)
    assert {file["type"] for file in told} == {"output"}
    return [server.output / file["subfolder"] / file["filename"] for file in told]


def test_every_take_is_a_file_and_passed_on(comfy: ComfyServer) -> None:
    graph = sound(sample={"num_samples": 2, "seed": 31})
    takes = generate(comfy, graph)
    result = run(comfy, saved(kept(graph, filename_prefix="takes/sound"), source="keep"))
    files = written(comfy, result)
    assert files == [comfy.output / "takes" / f"sound_0000{number}_.flac" for number in (1, 2)]
    assert set((comfy.output / "takes").iterdir()) == set(files)
    for path, take in zip(files, takes, strict=True):
        assert same(read_audio(path)[0], take)
    passed_on = set(paths(comfy, result)) - set(files)
    for path, take in zip(sorted(passed_on), takes, strict=True):
        assert same(read_audio(path)[0], take)


def test_m4a(comfy: ComfyServer) -> None:
    graph = sound(extract={"duration": 1.3}, sample={"seed": 32})
    (take,) = generate(comfy, graph)
    (path,) = written(comfy, run(comfy, kept(graph, format="m4a")))
    assert path.suffix == ".m4a"
    with av.open(path) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate) == ("aac", RATE)
        assert stream.duration == len(take)
    assert np.corrcoef(read_audio(path)[0][: len(take)], take)[0, 1] > 0.8


@pytest.mark.parametrize("file_format", ["flac", "m4a"])
def test_the_workflow_is_in_the_file(comfy: ComfyServer, file_format: str) -> None:
    graph = kept(sound(sample={"seed": 33}), format=file_format)
    (path,) = written(comfy, run(comfy, graph))
    with av.open(path) as container:
        assert json.loads(container.metadata["prompt"])["keep"] == graph["keep"]


def test_tokens(comfy: ComfyServer) -> None:
    prefix = "tokens/%MMAudioSampler.seed%_%width%_%nonsense%"
    result = run(comfy, kept(sound(sample={"seed": 34}), filename_prefix=prefix))
    (path,) = written(comfy, result)
    assert path == comfy.output / "tokens" / "34_0_%nonsense%_00001_.flac"
    told = notices(result)["keep"].splitlines()
    assert len(told) == 2
    assert told[0] == "filename_prefix: %width% becomes 0: there is no picture"
    assert "%nonsense% stays as it is" in told[1]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"filename_prefix": "../out"}, "outside the output folder is not allowed"),
        ({"filename_prefix": "a\0b"}, "holds control characters"),
        ({"audio": ["parts", 1]}, "got no sound (from a video without an audio track?)"),
    ],
)
def test_what_cannot_be_saved(
    comfy: ComfyServer, clip: str, inputs: dict[str, Any], words: str
) -> None:
    graph = kept(sound(), **inputs) | {
        "video": node("LoadVideo", file=clip),
        "parts": node("GetVideoComponents", video=["video", 0]),
    }
    assert words in failure(comfy, graph)
