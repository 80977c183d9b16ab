"""Lists of clips: each gets its own sound, and nothing runs or is encoded twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dev.client import Result
from dev.server import ComfyServer
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from tests.core.made_videos import steady, write_video
from tests.nodes.counting import free_memory, work
from tests.nodes.graphs import (
    MODEL,
    Graph,
    Inputs,
    muxed,
    node,
    paths,
    read_audio,
    run,
    saved,
    sound,
)

CLIPS = 3
# Frames per second and seconds of each video.
RATES, SECONDS = (25, 10, 16), (1.0, 1.2, 1.5)
BATCH = 25  # frames per clip when the clips are batches of images
TOLERANCE = 1e-4
PRINTED = 2e-4  # tensors are printed with four digits
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:e[+-]?\d+)?")
# With --cache-ram, less memory is free than is asked for, so outputs are dropped all the time.
MODES = {"default": (), "none": ("--cache-none",), "ram": ("--cache-ram", "1000000")}


@contextmanager
def comfyui(path: Path, folder: Path, *arguments: str, **env: str) -> Iterator[ComfyServer]:
    """A ComfyUI of its own, with the smaller model and the clips."""
    write_synthetic_bundle(folder / "models" / "mmaudio" / MODEL, variant=MODEL)
    env = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **env}
    with ComfyServer(path, folder, arguments=arguments, env=env) as server:
        write_clips(server)
        yield server


def write_clips(server: ComfyServer) -> None:
    """Three videos, and one that is cut into three batches of images."""
    for index, (rate, seconds) in enumerate(zip(RATES, SECONDS, strict=True)):
        write_video(server.input / f"{index}.mp4", steady(round(rate * seconds), rate))
    write_video(server.input / "long.mp4", steady(CLIPS * BATCH, 25))


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest,
    comfy: ComfyServer,
    comfy_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ComfyServer]:
    """ComfyUI with each of its ways of caching outputs."""
    arguments = MODES[request.param]
    if not arguments:
        write_clips(comfy)
        yield comfy
        return
    if request.param == "ram" and "CreateList" not in comfy.client.object_info():
        pytest.skip("ComfyUI 0.8.0 collects garbage for each output it drops: this takes minutes")
    with comfyui(comfy_path, tmp_path_factory.mktemp("comfyui"), *arguments) as server:
        yield server


@dataclass(frozen=True, kw_only=True)
class Source:
    """Nodes that give a list of clips, and each of its clips alone.

    Attributes:
        kind: input of MMAudioFeatureExtract that they go to.
        nodes: by id; output 0 of ``clips`` is the list.
        alone: the same for each clip; output 0 of ``clips`` is that clip.
        duration: of MMAudioFeatureExtract; 0 is the clip's own.
    """

    kind: str
    nodes: Graph
    alone: tuple[Graph, ...]
    duration: float = 0.0


def videos() -> Source:
    """Three Load Video into Create List."""
    loads = [node("LoadVideo", file=f"{index}.mp4") for index in range(CLIPS)]
    links = {f"inputs.input{index}": [f"load{index}", 0] for index in range(CLIPS)}
    return Source(
        kind="video",
        nodes={
            **{f"load{index}": load for index, load in enumerate(loads)},
            "clips": node("CreateList", **links),
        },
        alone=tuple({"clips": load} for load in loads),
    )


def batches(batch: int = BATCH, duration: float = 0.0) -> Source:
    """One batch of images, split by RebatchImages."""
    parts = {
        "file": node("LoadVideo", file="long.mp4"),
        "parts": node("GetVideoComponents", video=["file", 0]),
    }

    def cut(start: int, count: int, source: str = "parts") -> Graph:
        settings = {"image": [source, 0], "batch_index": start, "length": count}
        return {"clips": node("ImageFromBatch", **settings)}

    return Source(
        kind="images",
        nodes=parts
        | {"all": cut(0, CLIPS * batch)["clips"]}
        | {"clips": node("RebatchImages", images=["all", 0], batch_size=batch)},
        alone=tuple(parts | cut(index * batch, batch) for index in range(CLIPS)),
        duration=duration,
    )


def stills() -> Source:
    """Single images."""
    return batches(batch=1, duration=0.8)


SOURCES = {"videos": videos, "batches": batches, "stills": stills}


def graph(nodes: Graph, source: Source, **extract: object) -> Graph:
    """Sound of clips by MMAudioSampler and KSampler; what goes into them as text and as files."""
    inputs: Inputs = {source.kind: ["clips", 0], "duration": source.duration, **extract}
    settings = {"seed": 1, "steps": 2, "cfg": 4.5, "sampler_name": "euler", "scheduler": "simple"}
    ends = {"positive": ["extract", 1], "negative": ["extract", 2], "latent_image": ["extract", 3]}
    made = saved(sound(extract=inputs, sample={"steps": 2}) | nodes) | {
        "ksampler": node("KSampler", model=["load", 1], denoise=1.0, **settings, **ends),
        "decode": node("MMAudioDecode", mmaudio=["load", 0], samples=["ksampler", 0]),
        "native": node("SaveAudio", audio=["decode", 0], filename_prefix="test/native"),
        "features": node("PreviewAny", source=["extract", 0]),
        "positive": node("PreviewAny", source=["extract", 1]),
        "negative": node("PreviewAny", source=["extract", 2]),
        "latent": node("SaveLatent", samples=["extract", 3], filename_prefix="test/latent"),
    }
    moving = source.duration == 0
    return muxed(made, **{source.kind: ["clips", 0]}) if moving else made


@dataclass(frozen=True, kw_only=True)
class Item:
    """What one clip became."""

    sound: np.ndarray
    native: np.ndarray
    latent: np.ndarray
    texts: dict[str, list[float]]  # numbers in the printed features and conditions

    def assert_is(self, other: Item) -> None:
        """Assert that it is the same as ``other``."""
        for got, expected in ((self.sound, other.sound), (self.native, other.native)):
            assert got.shape == expected.shape
            np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)
        np.testing.assert_array_equal(self.latent, other.latent)
        for name, numbers in self.texts.items():
            np.testing.assert_allclose(numbers, other.texts[name], rtol=0, atol=PRINTED)


def items(server: ComfyServer, result: Result) -> list[Item]:
    """What each clip of a list became, in order."""

    def files(name: str) -> list[Path]:
        (listed,) = result.outputs[name].values()
        return [server.output / file["subfolder"] / file["filename"] for file in listed]

    texts = {
        name: [[float(number) for number in _NUMBER.findall(text)] for text in texts["text"]]
        for name, texts in result.outputs.items()
        if name in ("features", "positive", "negative")
    }
    rows = zip(files("save"), files("native"), files("latent"), *texts.values(), strict=True)
    return [
        Item(
            sound=read_audio(direct)[0],
            native=read_audio(native)[0],
            latent=load_file(latent)["latent_tensor"],
            texts=dict(zip(texts, printed, strict=True)),
        )
        for direct, native, latent, *printed in rows
    ]


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference over the length that both have."""
    length = min(a.shape[-1], b.shape[-1])
    return float(np.abs(a[..., :length] - b[..., :length]).max())


@pytest.fixture(scope="module")
def alone(comfy: ComfyServer) -> dict[str, list[Item]]:
    """What each clip of every source becomes when it is the only one."""
    write_clips(comfy)
    result: dict[str, list[Item]] = {}
    for name, source in SOURCES.items():
        result[name] = []
        for nodes in source().alone:
            free_memory(comfy)  # nothing of another clip is in the cache
            result[name] += items(comfy, run(comfy, graph(nodes, source())))
    return result


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("default", "videos"),
        ("default", "batches"),
        ("default", "stills"),
        ("none", "videos"),
        ("none", "batches"),
        ("ram", "videos"),
        ("ram", "batches"),
    ],
    indirect=["server"],
    scope="module",
)
def test_every_clip_gets_its_own_sound_and_every_node_runs_once(
    server: ComfyServer, name: str, alone: dict[str, list[Item]]
) -> None:
    if name == "videos" and "CreateList" not in server.client.object_info():
        pytest.skip("this ComfyUI has no Create List")
    source = SOURCES[name]()
    free_memory(server)
    listed = graph(source.nodes, source)
    done = work(server, listed)
    assert done.runs == dict.fromkeys(listed, 1)
    got = items(server, done.result)
    assert len(got) == CLIPS
    for item, expected in zip(got, alone[name], strict=True):
        item.assert_is(expected)
    for one, other in combinations(got, 2):
        assert difference(one.sound, other.sound) > 10 * TOLERANCE
        assert difference(one.native, other.native) > 10 * TOLERANCE
        assert one.texts["positive"] != other.texts["positive"]
        assert one.texts["features"] != other.texts["features"]
    for item in got:
        assert item.texts["positive"] != item.texts["negative"]
        assert item.latent.shape[:2] == (1, 1) and not item.latent.any()
    if "mux" in listed:
        assert len(done.result.outputs["mux"]["images"]) == CLIPS

    again = work(server, graph(source.nodes, source, prompt="thunder"))
    assert set(again.runs.values()) == {1}


@pytest.fixture(scope="module")
def with_folder(
    comfy_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """ComfyUI that caches no outputs, with features kept on disk."""
    folder = tmp_path_factory.mktemp("comfyui")
    features = {"MMAUDIO_FEATURE_CACHE": str(folder / "features")}
    with comfyui(comfy_path, folder, "--cache-none", **features) as server:
        yield server


@pytest.mark.newest
def test_features_on_disk_are_not_encoded_again(with_folder: ComfyServer) -> None:
    graph = saved(sound(video="0.mp4", extract={"duration": 1.0}))

    def generate() -> tuple[np.ndarray, tuple[int, int, int]]:
        done = work(with_folder, graph)
        assert done.runs == dict.fromkeys(graph, 1)  # with new objects in each prompt
        (path,) = paths(with_folder, done.result)
        return read_audio(path)[0], done.encoded

    first, encoded = generate()
    assert encoded == (8, 2, 2)
    again, encoded = generate()
    assert encoded == (0, 0, 0)
    np.testing.assert_array_equal(first, again)

    kept = sorted((with_folder.folder / "features").rglob("*.safetensors"))
    assert len(kept) == 8 + 2 + 2
    kept[0].write_bytes(kept[0].read_bytes()[:-1])  # as if its writer had been killed
    kept[1].unlink()
    repaired, encoded = generate()
    assert sum(encoded) == 2
    np.testing.assert_allclose(repaired, first, rtol=0, atol=TOLERANCE)
