"""A real ComfyUI for the tests that need one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.beside import is_set_up, others
from dev.comfyui import VARIABLE, locate
from dev.server import ComfyServer
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle

STANDINS = ("large_44k_v2", "small_16k")


def pytest_configure() -> None:
    """A run that is told to end stops its ComfyUI first."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))


def _versions() -> list[Path | None]:
    """The ComfyUI there is, and those beside it that ``dev.py test`` has set up."""
    found = locate()
    return [found] if found is None else [found, *filter(is_set_up, others(found))]


@pytest.fixture(scope="session", params=_versions(), ids=lambda path: path and path.name)
def comfy_path(request: pytest.FixtureRequest) -> Path:
    """The folder of a ComfyUI, each there is; without any a test fails, it is not skipped."""
    if request.param is None:
        pytest.fail(f"No ComfyUI was found: run dev.py test, or set {VARIABLE}.")
    return request.param


@pytest.fixture(scope="session")
def comfy(comfy_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A running ComfyUI with this pack alone and stand-ins of ``STANDINS``, for all tests."""
    folder = tmp_path_factory.mktemp("comfyui")
    for variant in STANDINS:
        write_synthetic_bundle(folder / "models" / "mmaudio" / variant, variant=variant)
    # nothing is ever fetched by a test; networks this small are slowed down by threads
    environment = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with ComfyServer(comfy_path, folder, env=environment) as server:
        yield server
