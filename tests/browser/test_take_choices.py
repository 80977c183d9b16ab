"""What the take panel lets a user choose from: items of a list, and takes by their scores."""

from __future__ import annotations

from typing import Any

import pytest

from dev.server import ComfyServer
from tests.core.made_videos import steady, write_video
from tests.nodes.graphs import muxed, node, sound

from .page import ComfyPage
from .takes import Panel

ITEMS, TAKES = 2, 3
# By hand: as MMAudio Score Takes writes them, with a score that no take has and one that one lacks.
SCORES: list[dict[str, float | None]] = [
    {"total": 0.61, "desync": 0.31, "sync_offset": 0.2, "voice": 0.03, "agreement": None},
    {"total": 0.83, "desync": 0.12, "sync_offset": -0.04, "voice": 0.0, "agreement": None},
    {"total": 0.44, "desync": None, "sync_offset": 0.04, "voice": 0.41, "agreement": None},
]


@pytest.fixture(scope="session")
def film(comfy: ComfyServer) -> str:
    write_video(comfy.input / "list.mp4", steady(50, 25))
    return "list.mp4"


def two_items(page: ComfyPage) -> tuple[str, list[str]]:
    """Mux on a list of two batches of images; its id, and the names of the files it saved."""
    graph = sound(video="list.mp4", sample={"num_samples": TAKES})
    graph["parts"] = node("GetVideoComponents", video=["video", 0])
    graph["list"] = node("RebatchImages", images=["parts", 0], batch_size=25)
    ids = page.add_nodes(muxed(graph, images=["list", 0]))
    page.set_widgets(ids["sample"], control_after_generate="fixed")
    page.set_widgets(ids["mux"], filename_prefix=f"list/{page.renderer}")
    before = saved_files(page)
    assert page.run() == "success"
    page.look_at(ids["mux"], 0.8)
    return ids["mux"], sorted(saved_files(page) - before)


def saved_files(page: ComfyPage) -> set[str]:
    return {path.name for path in page.server.output.glob("list/*")}


@pytest.fixture
def panel(page: ComfyPage, film: str) -> Panel:
    return Panel(page, page.made(two_items)[0])


@pytest.fixture
def saved(page: ComfyPage, film: str) -> list[str]:
    """Names of the files."""
    return page.made(two_items)[1]


def names(panel: Panel) -> list[str]:
    return panel.root.get_by_label("Item").locator("option").all_inner_texts()


def test_each_item_of_a_list_is_shown(page: ComfyPage, panel: Panel, saved: list[str]) -> None:
    first, second = saved
    assert names(panel) == [f"1: {first}", f"2: {second}"]
    video = panel.root.locator("video")
    assert first in (video.get_attribute("src") or "")
    panel.choose("Item", f"2: {second}")
    assert second in (video.get_attribute("src") or "")
    download = panel.root.get_by_role("link", name="Download")
    assert download.get_attribute("download") == second
    assert panel.violations() == []
    page.reload()
    again = Panel(page, panel.node_id)
    assert names(again) == [f"1: {first}", f"2: {second}"]
    assert second in (again.root.locator("video").get_attribute("src") or "")


@pytest.fixture
def scored(page: ComfyPage, panel: Panel) -> Panel:
    """The panel, with scores."""
    page.page.evaluate(
        """async ([id, scores]) => {
          const {app} = window;
          const answer = await app.api.fetchApi('/history?max_items=1');
          const [{outputs}] = Object.values(await answer.json());
          const [data] = outputs[id].mmaudio_takes;
          for (const [index, take] of data.takes.entries()) take.scores = scores[index];
          const output = {...outputs[id], mmaudio_takes: [data]};
          app.api.dispatchCustomEvent('executed', {node: id, display_node: id, output});
        }""",
        [panel.node_id, SCORES],
    )
    panel.root.get_by_label("Sort by").wait_for()
    return panel


def told(panel: Panel) -> list[list[str]]:
    """The scores in the lanes, from above."""
    lanes = panel.root.locator(".lane").all()
    return [lane.locator(".score").all_inner_texts() for lane in lanes]


def test_scores_are_told_with_their_units(scored: Panel) -> None:
    best = " ★\n(best)"
    assert told(scored) == [
        ["total 0.61", "desync 0.31 s", "sync offset +200 ms", "voice 3 %"],
        [
            f"total 0.83{best}",
            f"desync 0.12 s{best}",
            f"sync offset −40 ms{best}",
            f"voice 0 %{best}",
        ],
        ["total 0.44", "desync not measured", f"sync offset +40 ms{best}", "voice 41 %"],
    ]
    assert scored.root.get_by_text("Not measured: agreement").is_visible()
    assert scored.violations() == []


def test_takes_are_sorted_by_a_score(page: ComfyPage, scored: Panel) -> None:
    """With keys alone; numbers, and what is kept, mean the takes as they were made."""
    assert scored.order() == ["Take 0", "Take 1", "Take 2"]
    wanted = {
        "total": [1, 0, 2],
        "desync": [1, 0, 2],  # what was not measured comes last
        "sync offset": [1, 2, 0],
        "voice": [1, 0, 2],
    }
    sort = scored.root.get_by_label("Sort by")
    assert sort.locator("option").all_inner_texts() == ["take number", *wanted]
    sort.focus()
    for name, order in wanted.items():
        page.page.keyboard.press("ArrowDown")
        assert scored.order() == [f"Take {take}" for take in order], name
        assert told(scored)[0][0].startswith(name)
    assert "sorted by voice" in scored.status()
    scored.choose("Sort by", "sync offset")
    scored.press("3")
    assert scored.root.locator(".lane.picked").inner_text().startswith("Take 2")
    scored.root.locator(".lane", has_text="Take 2").get_by_role("button", name="Keep").click()
    assert scored.widget("take") == 2
    scored.choose("Sort by", "take number")
    assert scored.order() == ["Take 0", "Take 1", "Take 2"]


def test_the_node_is_as_high_as_its_panel(page: ComfyPage, scored: Panel) -> None:
    """Nothing is cut off, whatever there is to tell."""
    room: dict[str, Any] = scored.root.evaluate(
        """(panel) => {
          const low = (element) => element.getBoundingClientRect().bottom;
          return {panel: low(panel), parts: [...panel.children].map(low)};
        }"""
    )
    assert max(room["parts"]) <= room["panel"] + 0.5
    box = next(box for box in page.boxes() if box.id == scored.node_id)
    scale, top = page.page.evaluate(
        """() => {
          const {ds, canvas} = window.app.canvas;
          return [ds.scale, canvas.getBoundingClientRect().top + ds.offset[1] * ds.scale];
        }"""
    )
    assert room["panel"] <= top + (box.y + box.height) * scale + 1
