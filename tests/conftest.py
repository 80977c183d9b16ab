"""A real ComfyUI for the tests that need one."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from dev.comfyui import VARIABLE, locate, other_versions, side_env
from dev.environment import is_current
from dev.server import ComfyServer
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle

SYNTHETIC_VARIANTS = ("large_44k_v2", "small_16k")
# A parallel run begins with them: few tests, which would otherwise be the last, and long.
_LONG = (
    "tests/core/test_joins.py",
    "tests/core/test_scaling.py",
    "tests/core/test_media_memory.py",
)


def pytest_configure() -> None:
    """Make a terminated run stop its ComfyUI first."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))


def _versions() -> list[Path | None]:
    """ComfyUI, and the other versions whose environments ``dev.py test`` has installed."""
    comfyui = locate()
    if comfyui is None:
        return [None]
    return [comfyui, *(path for path in other_versions(comfyui) if is_current(side_env(path)))]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the marker ``newest`` leaves to the newest ComfyUI."""
    newest = _versions()[0]

    def left_out(item: pytest.Item) -> bool:
        callspec = getattr(item, "callspec", None)
        path = callspec.params.get("comfy_path", newest) if callspec else newest
        return path != newest and item.get_closest_marker("newest") is not None

    if dropped := [item for item in items if left_out(item)]:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if not left_out(item)]


class _Scheduling(LoadScopeScheduling):
    """Tests of one server, and those of one module, run in one process of a parallel run.

    A subclass, since pytest-xdist 3.8 ignores its own groups with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        module, _, test = nodeid.partition("::")
        names = [path.name for path in _versions() if path is not None and path.name in test]
        if not names:
            return module
        version = max(names, key=len)  # the name of the newest is the start of all
        if module.startswith("tests/native/"):
            return f"{version} {module}"
        return f"{version} {module.split('/')[1]}"

    def _assign_work_unit(self, node: Any) -> None:
        for scope in reversed(_LONG):
            if scope in self.workqueue:
                self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """How ``dev.py test`` shares the tests out."""
    return _Scheduling(config, log)


@pytest.fixture(scope="session", params=_versions(), ids=lambda path: path and path.name)
def comfy_path(request: pytest.FixtureRequest) -> Path:
    """The folder of every ComfyUI in turn; tests fail, and are not skipped, if there is none."""
    if request.param is None:
        pytest.fail(f"found no ComfyUI: run dev.py test, or set {VARIABLE}.")
    return request.param


@pytest.fixture(scope="session")
def newest(comfy_path: Path) -> bool:
    """Whether that is the newest one."""
    return comfy_path == _versions()[0]


@pytest.fixture(scope="session")
def comfy(comfy_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A running ComfyUI with this pack and synthetic weights, shared by all tests."""
    folder = tmp_path_factory.mktemp("comfyui")
    for variant in SYNTHETIC_VARIANTS:
        write_synthetic_bundle(folder / "models" / "mmaudio" / variant, variant=variant)
    # tests download nothing, and threads slow networks this small down
    environment = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with ComfyServer(comfy_path, folder, env=environment) as server:
        yield server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 1 MB; skips where none can be mounted."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("no mount")
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
