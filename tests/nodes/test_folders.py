"""Where weights may lie, and fetching those that lie nowhere, in a ComfyUI of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.server import ComfyServer
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from tests.fuzz.hostile import hostile_files
from tests.nodes.fake_hub import FakeHub, serving
from tests.nodes.graphs import MODEL, RATE, failure, generate, run, saved, sound

V2 = "large_44k_v2"
VOCODER = "nvidia/bigvgan_v2_44khz_128band_512x/bigvgan_generator.pt"
KINDS = ("flow", "vae", "clip", "synchformer")
VAE = "hkchengrex/MMAudio/ext_weights/v1-44.pth"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model under names that say nothing, scattered over folders."""
    folder = tmp_path_factory.mktemp("elsewhere")
    write_synthetic_bundle(folder / "bundle", variant=MODEL, seed=7)
    for number, path in enumerate(sorted((folder / "bundle").iterdir())):
        target = folder / "weights" / f"{number % 3}" / "of many" / f"{number}{path.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    return folder / "weights"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the 44.1 kHz model, by kind."""
    folder = tmp_path_factory.mktemp("published")
    write_synthetic_bundle(folder, variant=V2)
    return folder


@pytest.fixture(scope="module")
def hub(published: Path) -> Iterator[FakeHub]:
    """Has a vocoder, whose checksum is not published, and a VAE that is not the authors'."""
    kinds = {VOCODER: "vocoder", VAE: "vae"}
    files = {name: next(published.glob(f"*_{kind}.*")).read_bytes() for name, kind in kinds.items()}
    with serving(FakeHub(files=files)) as fake:
        yield fake


@pytest.fixture(scope="module")
def server(
    comfy_path: Path, tmp_path_factory: pytest.TempPathFactory, elsewhere: Path, hub: FakeHub
) -> Iterator[ComfyServer]:
    """A ComfyUI with no weights but those that its configuration adds, and that hub."""
    folder = tmp_path_factory.mktemp("comfyui")
    config = folder / "more_paths.yaml"
    config.write_text(f"mine:\n  mmaudio: {json.dumps(str(elsewhere))}\n", encoding="utf-8")
    environment = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
    }
    arguments = ["--extra-model-paths-config", str(config)]
    with ComfyServer(comfy_path, folder, arguments=arguments, env=environment) as running:
        yield running


@pytest.fixture
def weights(server: ComfyServer, published: Path) -> Iterator[Path]:
    """models/mmaudio with all but the vocoder."""
    folder = server.models / "mmaudio"
    for kind in KINDS:
        shutil.copy(next(published.glob(f"*_{kind}.*")), folder)
    yield folder
    for path in folder.iterdir():
        path.unlink()


def names(folder: Path) -> set[str]:
    """All but the hidden lock files."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_files_elsewhere_with_meaningless_names(server: ComfyServer, elsewhere: Path) -> None:
    """Found by what they hold, below the folder that extra_model_paths.yaml adds."""
    (take,) = generate(server, sound(load={"model": MODEL}))
    assert len(take) == round(0.64 * RATE)
    assert names(server.models / "mmaudio") == set()
    inputs = server.client.object_info("LoadMMAudioModel")["LoadMMAudioModel"]["input"]
    listed = [inputs["required"]["model"], *inputs["optional"].values()]
    found = {name for described in listed for name in described[1]["options"] if "/" in name}
    assert found == {
        path.relative_to(elsewhere).as_posix() for path in elsewhere.rglob("*") if path.is_file()
    }


def test_a_file_chosen_by_its_relative_path(server: ComfyServer) -> None:
    inputs = server.client.object_info("LoadMMAudioModel")["LoadMMAudioModel"]["input"]
    (flow,) = [n for n in inputs["required"]["model"][1]["options"] if "/" in n]
    assert generate(server, sound(load={"model": flow}, sample={"seed": 2}))


def test_hostile_files_take_nothing_away(server: ComfyServer, hub: FakeHub, weights: Path) -> None:
    """Sound is made, the node is listed, and the reason stands in the error and once in the log."""
    hostile = ("larger than the memory", "dict in itself", "nested 3,000 deep", "2^28 leaves")
    for number, name in enumerate(hostile):
        hostile_files()[name](weights / f"hostile{number}.pth")
    for seed in (11, 12):
        assert generate(server, sound(load={"model": MODEL}, sample={"seed": seed}))
        assert "LoadMMAudioModel" in server.client.object_info("LoadMMAudioModel")
    message = failure(server, saved(sound(load={"model": V2})))
    for number in range(len(hostile)):
        assert message.count(f"hostile{number}.pth") == 1
        assert server.log_text().count(f"usable as weights: hostile{number}.pth") == 1
    assert "not usable: hostile2.pth is damaged: its dicts are nested more than 16 deep" in message


def test_nothing_is_fetched_unasked(server: ComfyServer, hub: FakeHub, weights: Path) -> None:
    before = names(weights)
    message = failure(server, saved(sound(load={"model": V2})))
    assert "no file found for its vocoder." in message and "download_missing" in message
    assert hub.requests == [] and names(weights) == before


def test_missing_files_are_fetched(server: ComfyServer, hub: FakeHub, weights: Path) -> None:
    before = names(weights)
    graph = sound(load={"model": V2, "download_missing": True})
    result = run(server, saved(graph))
    assert names(weights) - before == {"bigvgan_generator.pt"}
    assert (weights / "bigvgan_generator.pt").read_bytes() == hub.files[VOCODER]
    bar = [
        event.data["value"] / event.data["max"]
        for event in result.events
        if event.kind == "progress" and event.data["node"] == "load"
    ]
    assert bar and bar == sorted(bar) and bar[-1] == 1
    asked = len(hub.requests)
    assert generate(server, sound(load=graph["load"]["inputs"], sample={"seed": 3}))
    assert len(hub.requests) == asked


def test_a_file_that_is_not_the_published_one(
    server: ComfyServer, hub: FakeHub, weights: Path
) -> None:
    next(weights.glob("*_vae.*")).unlink()
    before = names(weights)
    message = failure(server, saved(sound(load={"model": V2, "download_missing": True})))
    for part in (
        "Could not download v1-44.pth (the VAE, about 1.22 GB)",
        f"{hub.endpoint}/hkchengrex/MMAudio/resolve/main/ext_weights/v1-44.pth",
        "instead of the published fab020275fa44c6589820ce025191600",
        "Run it again",
        "in a browser",
    ):
        assert part in message
    assert not any("v1-44" in name for name in names(weights) - before)
    assert generate(server, sound(load={"model": MODEL}, sample={"seed": 4}))


def test_a_cancelled_download(server: ComfyServer, hub: FakeHub, weights: Path) -> None:
    """Leaves no model, and the next one continues it."""
    hub.stall_after = 100 * 1024
    graph = saved(sound(load={"model": V2, "download_missing": True}))
    running = server.client.submit(graph)
    asked = False
    for event in running.follow(60):
        if not asked and event.kind == "progress" and event.data["node"] == "load":
            asked = True
            server.client.interrupt()
        elif event.kind == "execution_interrupted":
            break
    hub.released.set()
    hub.stall_after = None
    assert running.events[-1].kind == "execution_interrupted"
    halves = {name for name in names(weights) if name.endswith(".incomplete")}
    assert names(weights) - halves == {f"synthetic_{V2}_{kind}.safetensors" for kind in KINDS}
    run(server, graph)
    assert not any(name.endswith(".incomplete") for name in names(weights))
