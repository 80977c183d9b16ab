"""Weights and LoRAs that change while jobs that use them run and wait."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dev.client import Result
from dev.server import ComfyServer
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from tests.nodes.graphs import (
    MODEL,
    Graph,
    Inputs,
    node,
    paths,
    read_audio,
    run,
    same,
    saved,
    sound,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(comfy_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A ComfyUI whose weights and LoRAs the tests overwrite."""
    folder = tmp_path_factory.mktemp("changing")
    for name, seed in (("now", 0), ("later", 9)):
        write_synthetic_bundle(folder / name, variant=MODEL, seed=seed)
    shutil.copytree(folder / "now", folder / "models" / "mmaudio")
    for number in range(2):
        write_lora(folder / "models" / "loras" / f"lora{number}.safetensors", number)
    environment = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with ComfyServer(comfy_path, folder, env=environment) as running:
        yield running


def write_lora(path: Path, seed: int) -> None:
    path.parent.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    name = "fused_blocks.0.attn.qkv"
    tensors = {
        f"{name}.lora_A.weight": torch.randn(4, 64, generator=generator),
        f"{name}.lora_B.weight": torch.randn(192, 4, generator=generator),
    }
    save_file(tensors, path)


def job(lora: str = "", *, extract: Inputs | None = None, sample: Inputs | None = None) -> Graph:
    graph = saved(sound(extract=extract, sample=sample))
    if lora:
        name = f"{lora}.safetensors"
        graph["lora"] = node("MMAudioLoraLoader", model=["load", 1], lora_name=name, strength=1.0)
        graph["sample"]["inputs"]["model"] = ["lora", 0]
    return graph


def long_job(lora: str = "") -> Graph:
    return job(lora, extract={"duration": 8.0}, sample={"steps": 100})


def overwrite(target: Path, source: Path, *, in_place: bool) -> None:
    """As a training run does, or as a download does."""
    if in_place:
        target.write_bytes(source.read_bytes())
    else:
        shutil.copy(source, target.with_suffix(".new"))
        os.replace(target.with_suffix(".new"), target)


def run_both(
    server: ComfyServer, first: Graph, second: Graph, change: Callable[[], None]
) -> list[Result]:
    """Queue both jobs, and call ``change`` while the first one samples."""
    client = server.client
    running, waiting = client.submit(first), client.submit(second)
    changed = False
    for event in running.follow():
        if not changed and event.kind == "progress" and event.data["node"] == "sample":
            change()
            changed = True
    assert changed
    return [running.result(), waiting.result()]


def take(server: ComfyServer, graph: Graph) -> np.ndarray:
    return read_audio(paths(server, run(server, graph))[0])


@pytest.mark.parametrize(
    ("in_place", "read"),
    [(True, False), (False, True)],
    ids=["in place, VAE not read", "replaced, all read"],
)
def test_weights(server: ComfyServer, in_place: bool, read: bool) -> None:
    """A running job keeps what it has read and mixes nothing; the next one uses what is there."""
    weights = server.models / "mmaudio"

    def put(name: str) -> None:
        for path in weights.iterdir():
            overwrite(path, server.folder / name / path.name, in_place=in_place)

    server.client.free()
    old = take(server, job(sample={"seed": 5}))
    if not read:
        server.client.free()
    long, short = run_both(server, long_job(), job(sample={"seed": 5}), lambda: put("later"))
    assert short.status == "success", short.message
    new = read_audio(paths(server, short)[0])
    if read:
        assert long.status == "success", long.message
    else:
        assert "is not the file any more" in long.message and "run it again" in long.message
    server.client.free()
    again = take(server, job(sample={"seed": 5}))
    put("now")
    assert np.array_equal(new, again) and not same(new, old)
    assert np.array_equal(take(server, job(sample={"seed": 5})), old)


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "replaced"])
def test_loras(server: ComfyServer, in_place: bool) -> None:
    loras = server.models / "loras"
    shutil.copy(loras / "lora0.safetensors", loras / "mine.safetensors")
    expected = [take(server, job(f"lora{number}", sample={"seed": 6})) for number in range(2)]
    assert not same(*expected)

    def change() -> None:
        overwrite(loras / "mine.safetensors", loras / "lora1.safetensors", in_place=in_place)

    second = job("mine", sample={"seed": 6})
    long, short = run_both(server, long_job("mine"), second, change)
    assert long.status == "success" and short.status == "success", short.message
    assert np.array_equal(read_audio(paths(server, short)[0]), expected[1])
