"""API prompts for the tests, and their results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np

from dev.client import PromptRejectedError, Result
from dev.server import ComfyServer

Graph = dict[str, dict[str, Any]]
Inputs = Mapping[str, Any]

# The faster of the two synthetic models.
MODEL, RATE = "small_16k", 16_000
STEP = 2**-15  # SaveAudio writes 16 bits


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """A node of an API prompt."""
    return {"class_type": class_type, "inputs": inputs}


def sound(
    *,
    load: Inputs | None = None,
    extract: Inputs | None = None,
    sample: Inputs | None = None,
    video: str | None = None,
    **others: dict[str, Any],
) -> Graph:
    """Nodes ``load``, ``extract`` and ``sample``, ``video`` if a file is given, and ``others``.

    By default they generate 0.64 s of sound from text, in one step.
    """
    source: Inputs = {"video": ["video", 0]} if video else {}
    return {
        "load": node(
            "LoadMMAudioModel",
            **{"model": MODEL, "precision": "fp32", "download_missing": False} | dict(load or {}),
        ),
        **({"video": node("LoadVideo", file=video)} if video else {}),
        "extract": node(
            "MMAudioFeatureExtract",
            **{
                "mmaudio": ["load", 0],
                "prompt": "rain",
                "negative_prompt": "",
                "duration": 0.64,
                "start_offset": 0.0,
                "mask_away_clip": False,
            }
            | dict(source)
            | dict(extract or {}),
        ),
        "sample": node(
            "MMAudioSampler",
            **{
                "mmaudio": ["load", 0],
                "features": ["extract", 0],
                "seed": 1,
                "steps": 1,
                "cfg": 4.5,
                "num_samples": 1,
            }
            | dict(sample or {}),
        ),
        **others,
    }


def saved(graph: Graph, source: str = "sample") -> Graph:
    """``graph`` with its sound saved, lossless except for rounding to 16 bits."""
    save = node("SaveAudio", audio=[source, 0], filename_prefix="test/audio")
    return {**graph, "save": save}


def muxed(graph: Graph, **inputs: Any) -> Graph:
    """``graph`` with node ``mux``."""
    defaults = {"audio": ["sample", 0], "filename_prefix": "test/video"}
    return {**graph, "mux": node("MuxAudioVideo", **defaults | inputs)}


def run(server: ComfyServer, graph: Graph) -> Result:
    """The result of ``graph``, which must succeed."""
    result = server.client.run(graph)
    assert result.status == "success", f"{result.message}\n{server.log_tail()}"
    return result


def failure(server: ComfyServer, graph: Graph) -> str:
    """The error message of ``graph``, which must fail and leave no file behind."""
    before = files(server)
    try:
        result = server.client.run(graph)
    except PromptRejectedError as error:
        message = str(error)
    else:
        assert result.status == "error", result.status
        message = result.message
    assert files(server) == before
    return message


def files(server: ComfyServer) -> set[Path]:
    """All files under the output and temp folders, including hidden ones."""
    return {
        path
        for folder in (server.output, server.temp)
        for path in folder.rglob("*")
        if path.is_file()
    }


def paths(server: ComfyServer, result: Result) -> list[Path]:
    """Paths of the files of a result."""
    folders = {"output": server.output, "temp": server.temp}
    return [folders[f["type"]] / f["subfolder"] / f["filename"] for f in result.files()]


def generate(server: ComfyServer, graph: Graph) -> list[np.ndarray]:
    """The takes (T,) that ``graph`` generates, rounded to ``STEP``."""
    return [read_audio(path)[0] for path in paths(server, run(server, saved(graph)))]


def read_audio(path: Path) -> np.ndarray:
    """The audio of a file (C, T), float32."""
    with av.open(path) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout=stream.layout)
        pieces = [
            piece.to_ndarray()
            for frame in [*container.decode(stream), None]
            for piece in resampler.resample(frame)
        ]
    return np.concatenate(pieces, axis=1)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two takes are equal except for rounding."""
    return a.shape == b.shape and float(np.abs(a - b).max()) <= 1.5 * STEP


def executed(result: Result) -> set[str]:
    """Ids of the nodes that were executed instead of taken from the cache."""
    return {
        str(event.data["node"])
        for event in result.events
        if event.kind == "executing" and event.data["node"] is not None
    }


def notices(result: Result) -> dict[str, str]:
    """What the nodes tell about a run that succeeded, by node id; a line for each notice."""
    told = {node: "\n".join(output.get("text", ())) for node, output in result.outputs.items()}
    return {node: text for node, text in told.items() if text}
