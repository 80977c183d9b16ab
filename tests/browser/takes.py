"""The take panel on the page, for the tests of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator

from .page import ComfyPage

# Every element of a panel that plays, as it is at one moment.
_MEDIA = """(panel) => ({
  audios: [...panel.querySelectorAll('audio')].map((audio) => ({
    time: audio.currentTime, muted: audio.muted, paused: audio.paused, volume: audio.volume,
    error: audio.error?.message ?? null})),
  video: [...panel.querySelectorAll('video')].map((video) => ({
    time: video.currentTime, muted: video.muted, paused: video.paused}))[0] ?? null,
})"""


class Panel:
    """A take panel on the page."""

    def __init__(self, page: ComfyPage, node_id: str) -> None:
        self.page = page
        self.node_id = node_id
        self.root: Locator = page.page.locator(f".mmaudio-takes[data-node='{node_id}']")
        self.root.locator(".lane").first.wait_for()

    def media(self) -> dict[str, Any]:
        return self.root.evaluate(_MEDIA)

    def heard(self) -> list[int]:
        """The takes that are not muted."""
        audios = self.media()["audios"]
        return [number for number, audio in enumerate(audios) if not audio["muted"]]

    def button(self, name: str, take: int | None = None) -> Locator:
        place = self.root if take is None else self.root.locator(".lane").nth(take)
        return place.get_by_role("button", name=name, exact=True)

    def press(self, key: str) -> None:
        self.root.focus()
        self.page.page.keyboard.press(key)

    def status(self) -> str:
        return self.root.get_by_role("status").inner_text()

    def widget(self, name: str) -> Any:
        return self.page.page.evaluate(
            """([id, name]) => window.app.canvas.graph.getNodeById(id)
              .widgets.find((widget) => widget.name === name).value""",
            [self.node_id, name],
        )

    def until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        for _ in range(int(seconds / 0.1)):
            if holds():
                return
            self.page.page.wait_for_timeout(100)
        raise AssertionError(self.media())

    def play(self) -> None:
        self.button("Play").click()
        self.until(lambda: all(audio["time"] > 0.2 for audio in self.media()["audios"]))

    def pause(self) -> None:
        if self.button("Pause").count():
            self.button("Pause").click()

    def position(self) -> float:
        """Where the panel is on its axis, in seconds."""
        return float(self.root.get_by_role("slider").first.get_attribute("aria-valuenow") or -1)

    def choose(self, label: str, option: str) -> None:
        """Choose in one of its lists, by label."""
        self.root.get_by_label(label, exact=True).select_option(label=option)

    def order(self) -> list[str]:
        """The takes in the order of their lanes."""
        return self.root.locator(".lane .row button:first-child").all_inner_texts()

    def violations(self) -> list[Any]:
        """What axe-core finds in it."""
        self.root.evaluate("(panel) => panel.setAttribute('data-checked', '')")
        found = Axe().run(self.page.page, context="[data-checked]")
        self.root.evaluate("(panel) => panel.removeAttribute('data-checked')")
        return found.response["violations"]


def drag(page: ComfyPage, target: Locator, start: float, end: float) -> None:
    """From one part of an element's width to another."""
    box = target.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.page.mouse.move(box["x"] + start * box["width"], y)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + end * box["width"], y, steps=6)
    page.page.mouse.up()
