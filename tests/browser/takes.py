"""The take panel on the page, for the tests of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
# Where they are every 50 ms, while they play and at most for some seconds, and what happens to the
# sound that is heard. In the page, whose clock does not wait for the test's.
_FOLLOW = """async (panel, seconds) => {
  const video = panel.querySelector('video');
  const audios = [...panel.querySelectorAll('audio')];
  const heard = audios.find((audio) => !audio.muted);
  const [sounds, picture, events] = [[], [], []];
  const note = ({type}) => events.push(type);
  const kinds = ['seeking', 'ratechange', 'pause'];
  for (const kind of kinds) heard.addEventListener(kind, note);
  const [began, from] = [performance.now(), heard.currentTime];
  let [passed, frames, frame] = [0, 0, 0];
  const drawn = () => {
    frames += 1;
    frame = requestAnimationFrame(drawn);
  };
  drawn();
  while ((passed = (performance.now() - began) / 1000) < seconds && !heard.paused) {
    sounds.push(audios.map((audio) => audio.currentTime));
    picture.push(video?.currentTime ?? null);
    await new Promise((done) => setTimeout(done, 50));
  }
  cancelAnimationFrame(frame);
  for (const kind of kinds) heard.removeEventListener(kind, note);
  const speed = (heard.currentTime - from) / passed;
  return {sounds, picture, events, frames, speed, rate: heard.playbackRate};
}"""


@dataclass(frozen=True, kw_only=True)
class Played:
    """What happened while a panel played.

    Attributes:
        sounds: where each sound was, in seconds, at one moment after the other.
        picture: where the picture was at the same moments; None without one.
        events: of the sound that was heard: seeking, ratechange, pause.
        frames: that the page drew meanwhile.
        speed: of the sound that was heard, in seconds a second.
        rate: at which the page was to play it, at the end.
    """

    sounds: list[list[float]]
    picture: list[float | None]
    events: list[str]
    frames: int
    speed: float
    rate: float

    def apart(self, offset: float = 0.0) -> list[float]:
        """Seconds between the first and the last at each moment.

        Args:
            offset: where in the picture the sounds begin, in seconds.
        """
        seen = [[] if at is None else [at - offset] for at in self.picture]
        return [
            max(sounds + more) - min(sounds + more)
            for sounds, more in zip(self.sounds, seen, strict=True)
        ]


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

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what follows in a later picture, or from the server."""
        assert self.page.wait(holds), self.media()

    def play(self, start: float = 0.0) -> None:
        """Play from a second on, which begins a while before this returns."""
        self.press("Home")
        if start:
            axis = self.root.get_by_role("slider").first
            box = axis.bounding_box()
            assert box is not None
            part = start / float(axis.get_attribute("aria-valuemax") or 0)
            axis.click(position={"x": part * box["width"], "y": box["height"] / 2})
        self.button("Play").click()
        self.until(lambda: all(one["time"] > start + 0.2 for one in self.media()["audios"]))

    def follow(self, seconds: float) -> Played:
        """What happens while it plays, until its end or for a while."""
        return Played(**self.root.evaluate(_FOLLOW, seconds))

    def pause(self) -> None:
        # at one moment: it may be about to come to its end
        self.root.evaluate(
            """(panel) => [...panel.querySelectorAll('button')]
              .find((button) => button.textContent === 'Pause')?.click()"""
        )

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
