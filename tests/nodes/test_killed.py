"""ComfyUI killed in every stage (as by a crash, or for want of memory) and started again."""

from __future__ import annotations

import time
from pathlib import Path

import av
import numpy as np
import pytest

from dev.server import ComfyServer
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from mmaudio_core.feature_cache import FeatureCache
from tests.core.made_videos import steady, write_video
from tests.nodes.graphs import MODEL, Graph, muxed, node, paths, read_audio, run, saved, sound
from tests.nodes.test_cancel import VAE, VOCODER, Trigger, reaches

pytestmark = pytest.mark.slow
SWEEP_SECONDS = 60


@pytest.fixture(scope="module")
def server(comfy_path: Path, tmp_path_factory: pytest.TempPathFactory) -> ComfyServer:
    """A ComfyUI to start and kill, with a cache of features on disk."""
    folder = tmp_path_factory.mktemp("killed")
    write_synthetic_bundle(folder / "models" / "mmaudio", variant=MODEL)
    environment = {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "MMAUDIO_FEATURE_CACHE": str(folder / "features"),
    }
    server = ComfyServer(comfy_path, folder, env=environment)
    server.input.mkdir()
    write_video(server.input / "long.mp4", steady(288, 12))
    write_video(server.input / "slow.mp4", steady(120, 1))
    return server


FOLLOWING = saved(sound(video="long.mp4", extract={"duration": 0.0}, sample={"seed": 42}))
ENCODED = muxed(
    sound() | {"images": node("EmptyImage", width=256, height=256, batch_size=600, color=7)},
    images=["images", 0],
    frame_rate=5.0,
)
COPIED = muxed(sound(sample={"num_samples": 16}), video=["video", 0], take=-1) | {
    "video": node("LoadVideo", file="slow.mp4")
}
STAGES: dict[str, tuple[Graph, Trigger]] = {
    "extracting": (FOLLOWING, reaches("extract", 0.2)),
    "sampling": (
        saved(sound(extract={"duration": 8.0}, sample={"steps": 200})),
        reaches("sample", 0.01, VAE),
    ),
    "decoding": (
        saved(sound(extract={"duration": 40.0}, sample={"num_samples": 16})),
        reaches("sample", VAE, VOCODER),
    ),
    "encoding": (ENCODED, reaches("mux", 0.3)),
    "copying": (COPIED, reaches("mux", 0.3)),
}


def visible(server: ComfyServer) -> set[Path]:
    return {path for path in server.output.rglob("*.*") if not path.name.startswith(".")}


def hidden(server: ComfyServer) -> list[Path]:
    """Unfinished files in the output folder and in the cache of features."""
    folders = (server.output, server.folder / "features")
    return [path for folder in folders for path in folder.rglob(".*")]


def check_cache(folder: Path) -> int:
    """Number of features, each of which can be read."""
    cache = FeatureCache(0, folder)
    files = list(folder.rglob("*.safetensors"))
    assert all(cache.get(bytes.fromhex(path.stem)) is not None for path in files)
    return len(files)


def is_whole(path: Path) -> bool:
    with av.open(path) as container:
        return sum(1 for _ in container.demux(video=0)) > 100


def test_killed_in_every_stage(server: ComfyServer, newest: bool) -> None:
    """Each start finds what the kill before it left; nothing half done ever has a final name.

    What is left depends on the stage, and the start on ComfyUI: with an older one, one stage.
    """
    left: dict[str, int] = {}
    expected: np.ndarray | None = None
    for stage in STAGES if newest else ("encoding",):
        graph, trigger = STAGES[stage]
        with server:
            wait_for_the_sweep(server)
            if stage != "extracting":
                expected = check_following(server, expected)
            before = visible(server)
            execution = server.client.submit(graph)
            assert any(trigger(event) for event in execution.follow()), f"{stage} was never reached"
            server.kill()
        left[stage] = len(hidden(server))
        new = visible(server) - before
        assert all(is_whole(path) for path in new) and (not new or stage == "copying"), new
        check_cache(server.folder / "features")
    print(left)
    assert left["encoding"] == 1 and left.get("copying", 0) <= 1
    with server:
        wait_for_the_sweep(server)
        check_following(server, expected)
    assert check_cache(server.folder / "features") > 100


def wait_for_the_sweep(server: ComfyServer) -> None:
    """What a killed run left is deleted some seconds after the start."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while hidden(server) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not hidden(server)


def check_following(server: ComfyServer, expected: np.ndarray | None) -> np.ndarray:
    """The sound of the next job, bit for bit what it was."""
    (path,) = paths(server, run(server, FOLLOWING))
    made = read_audio(path)
    assert expected is None or np.array_equal(made, expected)
    return made
