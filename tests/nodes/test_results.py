"""Results: each under a name of its own, or refused before the work; nothing half done stays."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.server import ComfyServer
from mmaudio_core import partial_files
from tests.nodes.graphs import Graph, failure, files, muxed, node, paths, run, sound

IMAGE = node("EmptyImage", width=64, height=64, batch_size=1, color=0)


def muxes(count: int, prefix: str, **inputs: object) -> Graph:
    """One sound, muxed into so many files."""
    graph = sound(image=IMAGE)
    given = {"images": ["image", 0], "filename_prefix": prefix} | inputs
    mux = muxed(graph, **given)["mux"]
    return graph | {
        f"mux{number}": {**mux, "inputs": mux["inputs"] | {"fade_in": number / 100}}
        for number in range(count)
    }


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("", ["mmaudio_00001_.mp4", "mmaudio_00002_.mp4"]),
        ("clips/", ["clips/mmaudio_00001_.mp4", "clips/mmaudio_00002_.mp4"]),
        ("clips2/.", ["clips2/mmaudio_00001_.mp4", "clips2/mmaudio_00002_.mp4"]),
        ("clips3//a/../.b", ["clips3/b_00001_.mp4", "clips3/b_00002_.mp4"]),
        ("clips4/100% é", ["clips4/100% é_00001_.mp4", "clips4/100% é_00002_.mp4"]),
    ],
)
def test_results_are_counted(comfy: ComfyServer, prefix: str, names: list[str]) -> None:
    before = files(comfy)
    for number in range(2):
        result = run(comfy, muxes(1, prefix, fade_out=number / 100))
        (path,) = paths(comfy, result)
        assert path == comfy.output / names[number] and path.exists()
    assert files(comfy) - before == {comfy.output / name for name in names}


@pytest.mark.parametrize(
    ("prefix", "reason"),
    [
        ("a\0b", "holds control characters"),
        ("a\nb", "holds control characters"),
        ("a\ud800b", "is not Unicode text"),
        ("é" * 130, "too long"),
        ("long/" + "f" * 300 + "/v", "too long"),
        ("/".join(["folder"] * 700), "too long"),
        ("taken/video", "taken is a file and no folder"),
        ("taken/more/video", "taken is a file and no folder"),
        ("../out", "outside the output folder is not allowed"),
        ("a/../../out", "outside the output folder is not allowed"),
        ("/etc/out", "outside the output folder is not allowed"),
    ],
    ids=ascii,
)
def test_names_that_cannot_be_are_refused_before_the_work(
    comfy: ComfyServer, prefix: str, reason: str
) -> None:
    (comfy.output / "taken").write_text("a file")
    folders = set(comfy.output.iterdir())
    message = failure(comfy, muxes(1, prefix))
    assert message.count(reason) == 1 and message.count("Change filename_prefix.") == 1, message
    assert "filename_prefix: got" in message
    assert set(comfy.output.iterdir()) == folders
    # the same where the name is only known when the node runs
    message = failure(
        comfy,
        muxes(1, "x", filename_prefix=["told", 0])
        | {"told": node("PrimitiveString", value=prefix)},
    )
    assert message.count(reason) == 1, message
    assert set(comfy.output.iterdir()) == folders


@pytest.fixture(scope="module")
def left_behind(comfy: ComfyServer) -> Path:
    """What a killed run left, in the output folder before the second server starts."""
    host = partial_files._HOST  # pyright: ignore[reportPrivateUsage]
    path = comfy.output / "deep" / "er" / f".mmaudio-{host}-{uuid.uuid4().hex}.tmp"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    before = time.time() - 60
    os.utime(path, (before, before))
    return path


@pytest.fixture(scope="module")
def second(
    comfy: ComfyServer, left_behind: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """Another ComfyUI with the same output folder and weights."""
    folder = tmp_path_factory.mktemp("second")
    (folder / "models").symlink_to(comfy.models)
    environment = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with ComfyServer(comfy.comfyui, folder, output=comfy.output, env=environment) as server:
        yield server


def test_what_a_killed_run_left_is_deleted_at_the_start(
    second: ComfyServer, left_behind: Path
) -> None:
    deadline = time.monotonic() + 30
    while left_behind.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left_behind.exists()
    assert "deleted 1 unfinished files of killed runs" in second.log_text()


def test_two_servers_share_an_output_folder(comfy: ComfyServer, second: ComfyServer) -> None:
    """40 results are 40 files."""
    jobs = [server.client.submit(muxes(20, "both/video")) for server in (comfy, second)]
    results = [job.result() for job in jobs]
    assert [result.status for result in results] == ["success", "success"]
    told = [path for result in results for path in paths(comfy, result)]
    assert len(set(told)) == 40
    assert set((comfy.output / "both").iterdir()) == set(told)
