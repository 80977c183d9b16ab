"""Canceling in every stage: at once, without files left behind or effects on the next job."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest

from dev.client import Event
from dev.server import ComfyServer
from tests.core.made_videos import steady, write_video
from tests.nodes.graphs import (
    Graph,
    executed,
    files,
    muxed,
    node,
    paths,
    read_audio,
    run,
    same,
    saved,
    sound,
)

SECONDS = 5.0  # from the request to its confirmation, on a busy machine
Trigger = Callable[[Event], bool]


@pytest.fixture(scope="module")
def long_clip(comfy: ComfyServer) -> str:
    """A video of 24 s."""
    write_video(comfy.input / "long.mp4", steady(288, 12))
    return "long.mp4"


@pytest.fixture(scope="module")
def long_sound(comfy: ComfyServer) -> str:
    """Two minutes of noise."""
    rate = 44_100
    noise = np.random.default_rng(0).integers(-3000, 3000, (1, 120 * rate), np.int16)
    with av.open(comfy.input / "long.wav", "w") as output:
        stream = output.add_stream("pcm_s16le", rate=rate, layout="mono")
        for number, piece in enumerate(np.split(noise, 120, axis=1)):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), "s16", "mono")
            frame.sample_rate, frame.pts = rate, number * rate
            frame.time_base = Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return "long.wav"


@pytest.fixture(scope="module")
def following(clip: str) -> Graph:
    """The job in the queue behind the canceled one."""
    return saved(sound(video=clip, extract={"duration": 0.0}, sample={"seed": 42, "steps": 3}))


@pytest.fixture(scope="module")
def expected(comfy: ComfyServer, following: Graph) -> np.ndarray:
    return read_audio(paths(comfy, run(comfy, following))[0])[0]


def starts(name: str) -> Trigger:
    """When the node begins."""
    return lambda event: event.kind == "executing" and event.data["node"] == name


def reaches(name: str, begin: float = 0.0, end: float = 1.0) -> Trigger:
    """When the bar of the node, or of a node it expands into, is in [begin, end)."""

    def check(event: Event) -> bool:
        if event.kind != "progress" or str(event.data["node"]).split(".")[0] != name:
            return False
        return begin <= event.data["value"] / event.data["max"] < end

    return check


def check_cancelled(
    comfy: ComfyServer, graph: Graph, trigger: Trigger, following: Graph, expected: np.ndarray
) -> None:
    """Cancel ``graph`` at ``trigger``, with ``following`` in the queue."""
    before = files(comfy)
    running = comfy.client.submit(graph)
    waiting = asked = None
    for event in running.follow():
        if asked is None and trigger(event):
            waiting = comfy.client.submit(following)
            asked = time.monotonic()
            comfy.client.interrupt()
        elif event.kind == "execution_interrupted":
            break
    took = time.monotonic() - (asked or 0)
    assert waiting is not None, "the stage was never reached"
    result = waiting.result()
    assert running.events[-1].kind == "execution_interrupted", running.events[-1]
    assert result.status == "success", result.message
    assert {"extract", "sample", "save"} <= executed(result)
    (path,) = paths(comfy, result)
    assert files(comfy) == before | {path}
    assert same(read_audio(path)[0], expected)
    assert took < SECONDS


# A sampler's bar is 16 parts sampling, 1 part VAE, 4 parts vocoder.
VAE, VOCODER = 16 / 21, 17 / 21
# ComfyUI 0.33 sends a bar at intervals: the VAE must be at work for longer than one of them.
EXTRACT = {"duration": 0.0}
TAKES = {"num_samples": 16}


@pytest.mark.parametrize(
    ("stage", "extract", "sample", "trigger"),
    [
        ("loading", EXTRACT, {}, starts("load")),
        ("CLIP", EXTRACT, {}, reaches("extract")),
        ("Synchformer", EXTRACT | {"mask_away_clip": True}, {}, reaches("extract")),
        ("sampling", {"duration": 8.0}, {"steps": 200}, reaches("sample", 0.01, VAE)),
        ("VAE", {"duration": 40.0}, TAKES, reaches("sample", VAE, VOCODER)),
        ("vocoder", {"duration": 8.0}, TAKES, reaches("sample", VOCODER)),
    ],
    ids=["loading", "CLIP", "Synchformer", "sampling", "VAE", "vocoder"],
)
def test_making_sound(
    comfy: ComfyServer,
    long_clip: str,
    following: Graph,
    expected: np.ndarray,
    stage: str,
    extract: dict[str, float],
    sample: dict[str, int],
    trigger: Trigger,
) -> None:
    # only the stage under test takes long; another precision makes the loader run again
    video = long_clip if extract["duration"] == 0 else None
    load = {"precision": "auto"} if stage == "loading" else {}
    graph = saved(sound(video=video, load=load, extract=extract, sample=sample))
    check_cancelled(comfy, graph, trigger, following, expected)


@pytest.mark.parametrize("picture", ["copied", "encoded"])
def test_muxing(
    comfy: ComfyServer,
    long_sound: str,
    following: Graph,
    expected: np.ndarray,
    picture: str,
) -> None:
    write_video(comfy.input / "slow.mp4", steady(120, 1))
    graph: Graph = {
        "sound": node("LoadAudio", audio=long_sound),
        "video": node("LoadVideo", file="slow.mp4"),
        "images": node("EmptyImage", width=256, height=256, batch_size=600, color=7),
    }
    picture_input = {"video": ["video", 0]} if picture == "copied" else {"images": ["images", 0]}
    graph = muxed(graph, audio=["sound", 0], frame_rate=5.0, **picture_input)
    check_cancelled(comfy, graph, reaches("mux", 0.01), following, expected)


def test_saving_sound(
    comfy: ComfyServer, long_sound: str, following: Graph, expected: np.ndarray
) -> None:
    inputs = {"audio": ["sound", 0], "filename_prefix": "test/canceled", "format": "m4a"}
    graph: Graph = {
        "sound": node("LoadAudio", audio=long_sound),
        "keep": node("MMAudioSaveAudio", **inputs),
    }
    check_cancelled(comfy, graph, reaches("keep", 0.01), following, expected)
