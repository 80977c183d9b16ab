"""What the page shows in another language: labels of text boxes, help, the templates' heading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import requests

from dev.environment import ROOT
from dev.server import ComfyServer

from .chromium import Chromium
from .opened import SharedPage
from .page import LOAD_SECONDS, ComfyPage, Renderer

OpenPage = Callable[[Renderer, str], ComfyPage]
Pages = dict[tuple[Renderer, str], SharedPage]

NODES = {
    "extract": {"class_type": "MMAudioFeatureExtract", "inputs": {}},
    "schedule": {"class_type": "MMAudioPromptSchedule", "inputs": {}},
}
BOXES = {
    "en": ("prompt", "negative_prompt", "schedule"),
    "zh": ("提示词", "负面提示词", "时间表"),
}
HEADINGS = {"en": "MMAudio", "zh": "MMAudio 视频音效", "ja": "MMAudio 動画の音"}


@pytest.fixture(scope="module")
def opened_pages(comfy: ComfyServer) -> Iterator[Pages]:
    """Those in each language; the other tests of this server get theirs in English."""
    pages: Pages = {}
    yield pages
    for page in pages.values():
        page.close()
    english = {"Comfy.Locale": "en"}
    requests.post(
        f"{comfy.url}/api/settings", json=english, timeout=LOAD_SECONDS
    ).raise_for_status()


@pytest.fixture
def open_page(
    request: pytest.FixtureRequest, opened_pages: Pages, chromium: Chromium, comfy: ComfyServer
) -> Iterator[OpenPage]:
    """The page in a language, in which nothing may go wrong."""
    with ExitStack() as lent:

        def opened(renderer: Renderer, language: str) -> ComfyPage:
            key = renderer, language
            if key not in opened_pages:
                settings = {"Comfy.Locale": language}
                opened_pages[key] = SharedPage(chromium, comfy, renderer, **settings)
            return lent.enter_context(opened_pages[key].lend(request.node))

        yield opened


@pytest.mark.parametrize(
    ("renderer", "language"), [("classic", "en"), ("classic", "zh"), ("nodes2", "zh")]
)
def test_text_boxes_are_labelled(renderer: Renderer, language: str, open_page: OpenPage) -> None:
    page = open_page(renderer, language)
    ids = page.add_nodes(NODES)
    for label in BOXES[language]:
        box = page.page.get_by_label(label, exact=True)
        box.fill(f"words of {label}")  # only a visible box can be filled
        if renderer == "classic":
            picture = box.evaluate("(box) => decodeURIComponent(box.style.backgroundImage)")
            assert f">{label}</text>" in picture
            # the page's own color stays: light text on nothing could not be read
            color = box.evaluate("(box) => getComputedStyle(box).backgroundColor")
            assert color.startswith("rgb(")
    widgets = {str(node["id"]): node["widgets_values"] for node in page.graph()["nodes"]}
    written = [*widgets[ids["extract"]][:2], widgets[ids["schedule"]][0]]
    assert written == [f"words of {label}" for label in BOXES[language]]


@pytest.mark.parametrize("language", ["zh", "ja", "fr"])
def test_the_help_is_in_the_language_of_the_page(language: str, open_page: OpenPage) -> None:
    """In English where the pack has no page in that language."""
    page = open_page("nodes2", language)
    page.forgive(f"/{language}.md")  # which the page asks for first
    ids = page.add_nodes({"schedule": NODES["schedule"]})
    page.select(ids["schedule"])
    page.page.get_by_test_id("info-button").click()
    folder = ROOT / "web" / "docs"
    file = folder / "MMAudioPromptSchedule" / f"{language}.md"
    if not file.exists():
        file = folder / "MMAudioPromptSchedule.md"
    first = file.read_text(encoding="utf-8").split("\n", 1)[0]
    shown = page.page.locator(".node-help-content")
    shown.get_by_text(first).wait_for()
    assert not any(mark in shown.inner_text() for mark in ("**", "`", "##"))


@pytest.mark.parametrize(
    ("renderer", "language"), [("classic", "en"), ("nodes2", "zh"), ("nodes2", "ja")]
)
def test_the_templates_have_a_heading(
    renderer: Renderer, language: str, open_page: OpenPage
) -> None:
    """In full, without "..." at its end."""
    page = open_page(renderer, language)
    page.page.evaluate("() => window.app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    heading = page.page.get_by_role("dialog").get_by_text(HEADINGS[language], exact=True)
    heading.wait_for()
    assert heading.evaluate("(text) => text.scrollWidth <= text.clientWidth")
