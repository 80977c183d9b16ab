"""One browser for the session, and in it a page of the running ComfyUI for every file of tests.

The tests run with the newest ComfyUI, whose page has both renderers; those with the marker
``every_version`` run with the older ones too, and those with ``older`` only there.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from dev.server import ComfyServer
from tests.core.made_videos import steady, write_video

from .chromium import ARGUMENTS, MISSING, find_chromium
from .page import RENDERERS, SIZE, ComfyPage

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


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window; tests fail, and are not skipped, if there is none."""
    path = find_chromium()
    if path is None:
        pytest.fail(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=RENDERERS)
def opened_page(
    request: pytest.FixtureRequest, browser: Browser, comfy: ComfyServer
) -> Iterator[ComfyPage]:
    """The page in either renderer, without cookies and stored data, for the tests of a file."""
    context = browser.new_context(viewport=SIZE)
    yield ComfyPage(context, comfy, request.param)
    context.close()


@pytest.fixture
def page(opened_page: ComfyPage) -> Iterator[ComfyPage]:
    """``opened_page``, in which nothing may go wrong that the test does not forgive."""
    opened_page.errors.clear()
    yield opened_page
    assert opened_page.errors == []


@pytest.fixture(scope="session")
def opened_classic_page(browser: Browser, comfy: ComfyServer) -> Iterator[ComfyPage]:
    """The page with the classic canvas, which every version has, for the tests of all files."""
    context = browser.new_context(viewport=SIZE)
    yield ComfyPage(context, comfy, "classic")
    context.close()


@pytest.fixture
def classic_page(opened_classic_page: ComfyPage) -> Iterator[ComfyPage]:
    """``opened_classic_page``, in which nothing may go wrong."""
    opened_classic_page.errors.clear()
    yield opened_classic_page
    assert opened_classic_page.errors == []


@pytest.fixture(scope="session")
def clip(comfy: ComfyServer) -> str:
    """Two seconds, 25 frames a second, with a second of silence as its sound."""
    write_video(comfy.input / "browser.mp4", steady(50, 25), sound=True)
    return "browser.mp4"
