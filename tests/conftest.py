"""A real ComfyUI for the tests that need one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.comfyui import VARIABLE, locate
from dev.server import ComfyServer
from mmaudio_core.standin import write_bundle

STANDINS = ("large_44k_v2", "small_16k")


def pytest_configure() -> None:
    """A run that is told to end stops its ComfyUI first."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))


@pytest.fixture(scope="session")
def comfy_path() -> Path:
    """The folder of a ComfyUI; without one a test fails, it is not skipped."""
    found = locate()
    if found is None:
        pytest.fail(f"No ComfyUI was found: run dev.py test, or set {VARIABLE}.")
    return found


@pytest.fixture(scope="session")
def comfy(comfy_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A running ComfyUI with this pack alone and stand-ins of ``STANDINS``, for all tests."""
    folder = tmp_path_factory.mktemp("comfyui")
    for variant in STANDINS:
        write_bundle(folder / "models" / "mmaudio" / variant, variant=variant)
    # nothing is ever fetched by a test; networks this small are slowed down by threads
    environment = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with ComfyServer(comfy_path, folder, env=environment) as server:
        yield server
