"""One browser for the session, and in it a page of the running ComfyUI for every file of tests.

The tests run with the newest ComfyUI, whose page has both renderers; those with the marker
``every_version`` run with the older ones too, and those with ``older`` only there. A test that
fails is run once more, in a page that is opened anew.
"""

from __future__ import annotations

import runpy
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from dev.server import ComfyServer
from tests.core.made_videos import steady, write_video

from .chromium import MISSING, Chromium, find_chromium
from .opened import SharedPage, note_failure
from .page import RENDERERS, ComfyPage

_HERE = Path(__file__).parent
_OLDEST = (0, 33)  # before it, the page has no Nodes 2.0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and leave out those that need a newer page."""
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        if _HERE not in item.path.parents:
            kept.append(item)
            continue
        item.add_marker("browser")
        item.add_marker(pytest.mark.flaky(reruns=1))
        callspec = getattr(item, "callspec", None)
        path = callspec.params.get("comfy_path") if callspec else None
        old = path is not None and _version(path) < _OLDEST
        older = item.get_closest_marker("older") is not None
        everywhere = item.get_closest_marker("every_version") is not None
        (kept if (older or everywhere if old else not older) else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def _version(comfyui: Path) -> tuple[int, ...]:
    version: str = runpy.run_path(str(comfyui / "comfyui_version.py"))["__version__"]
    return tuple(int(part) for part in version.split(".")[:2])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note which tests fail."""
    report = yield
    note_failure(item, report)
    return report


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The browser; tests fail, and are not skipped, if there is none."""
    path = find_chromium()
    if path is None:
        pytest.fail(MISSING)
    with sync_playwright() as playwright:
        chromium = Chromium(playwright, path)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module", params=RENDERERS)
def opened_page(
    request: pytest.FixtureRequest, chromium: Chromium, comfy: ComfyServer
) -> Iterator[SharedPage]:
    """The page in either renderer, for the tests of a file."""
    shared = SharedPage(chromium, comfy, request.param)
    yield shared
    shared.close()


@pytest.fixture
def page(request: pytest.FixtureRequest, opened_page: SharedPage) -> Iterator[ComfyPage]:
    """``opened_page``, in which nothing may go wrong that the test does not forgive."""
    with opened_page.lend(request.node) as page:
        yield page


@pytest.fixture(scope="session")
def opened_classic_page(chromium: Chromium, comfy: ComfyServer) -> Iterator[SharedPage]:
    """The page with the classic canvas, which every version has, for the tests of all files."""
    shared = SharedPage(chromium, comfy, "classic")
    yield shared
    shared.close()


@pytest.fixture
def classic_page(
    request: pytest.FixtureRequest, opened_classic_page: SharedPage
) -> Iterator[ComfyPage]:
    """``opened_classic_page``, in which nothing may go wrong."""
    with opened_classic_page.lend(request.node) as page:
        yield page


@pytest.fixture(scope="session")
def clip(comfy: ComfyServer) -> str:
    """Two seconds, 25 frames a second, with a second of silence as its sound."""
    write_video(comfy.input / "browser.mp4", steady(50, 25), sound=True)
    return "browser.mp4"
