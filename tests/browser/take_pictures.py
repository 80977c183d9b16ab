"""The take panel in each of its states, for ``docs/takes.md``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.nodes.graphs import Graph, node, sound

from .page import ComfyPage
from .takes import Panel, drag

WIDTH = 640  # of the node, in graph units


def takes_graph(model: str) -> Graph:
    """Three takes under a schedule of prompts, from a region of an earlier sound, with scores."""
    graph = sound(
        video="bikes.mp4",
        load={"model": model},
        extract={"duration": 8.0},
        sample={"num_samples": 3, "features": ["schedule", 0], "latent": ["region", 0]},
    )
    graph["schedule"] = node(
        "MMAudioPromptSchedule",
        mmaudio=["load", 0],
        features=["extract", 0],
        schedule="0-3.5: traffic | 3.5-: bicycles on gravel",
    )
    graph["first"] = node("MMAudioSampler", mmaudio=["load", 0], features=["extract", 0], steps=1)
    graph["encoded"] = node(
        "MMAudioEncode", mmaudio=["load", 0], audio=["first", 0], features=["extract", 0]
    )
    graph["region"] = node("MMAudioRegion", samples=["encoded", 0], start=0.0, end=8.0)
    graph["scores"] = node(
        "MMAudioScoreTakes", mmaudio=["load", 0], audio=["sample", 0], features=["extract", 0]
    )
    graph["takes"] = node("MMAudioTakes", audio=["scores", 0], video=["video", 0])
    return graph


def put_together(page: ComfyPage, ids: Mapping[str, str]) -> None:
    """Make the panel wide, and put the nodes whose widgets it writes beside it."""
    page.page.evaluate(
        """([ids, width]) => {
          const {graph} = window.app.canvas;
          const [takes, region, schedule] = ids.map((id) => graph.getNodeById(id));
          takes.setSize([width, takes.size[1]]);
          takes.pos = [takes.pos[0] + 4000, 0]; // alone
          region.pos = [takes.pos[0] - 480, 0];
          schedule.pos = [takes.pos[0] - 480, 300];
        }""",
        [[ids[name] for name in ("takes", "region", "schedule")], WIDTH],
    )


def _at(panel: Panel, seconds: int) -> None:
    panel.press("Home")
    for _ in range(seconds):
        panel.page.page.keyboard.press("ArrowRight")


def _in_use(panel: Panel) -> None:
    _at(panel, 3)


def _compared(panel: Panel) -> None:
    panel.press("3")
    panel.press("1")
    _at(panel, 2)


def _spectrogram(panel: Panel) -> None:
    panel.button("Spectrogram").click()
    pictures = panel.root.locator(".lane img")
    done = "(all) => all.every((image) => image.naturalWidth > 0)"
    panel.until(lambda: pictures.evaluate_all(done))


def _scores(panel: Panel) -> None:
    panel.choose("Sort by", "onset match")


def _region(panel: Panel) -> None:
    drag(panel.page, panel.root.locator(".lane .sound").first, 0.25, 0.5)


def _light(panel: Panel) -> None:
    panel.page.change_setting("Comfy.ColorPalette", "light")


def _gone(panel: Panel) -> None:
    for path in (panel.page.server.temp / "mmaudio-takes").iterdir():
        path.unlink()
    panel.page.reload()
    panel.page.page.get_by_text("no longer on disk").first.wait_for()


STATES: dict[str, tuple[Callable[[Panel], Any], tuple[str, ...]]] = {
    "takes": (_in_use, ("takes", "schedule")),
    "takes-compared": (_compared, ("takes",)),
    "takes-spectrogram": (_spectrogram, ("takes",)),
    "takes-scores": (_scores, ("takes",)),
    "takes-region": (_region, ("takes", "region")),
    "takes-light": (_light, ("takes",)),
    "takes-gone": (_gone, ("takes",)),
}
"""What brings the panel into each state, and the nodes that the picture shows."""
ALONE = {name for name, (_, nodes) in STATES.items() if len(nodes) == 1}
