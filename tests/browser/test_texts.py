"""Errors and notices as they are read from the page."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.nodes.graphs import Graph, muxed, node, saved, sound

from .page import ComfyPage

IMAGE = node("EmptyImage", width=64, height=48, batch_size=1, color=0)


def graph(clip: str, **extract: Any) -> Graph:
    """A graph that has not run yet."""
    return muxed(
        sound(video=clip, extract={"prompt": f"{time.time()}", **extract}), video=["video", 0]
    )


def complaint(page: ComfyPage) -> str:
    """The one that the page has, or is about to show."""
    assert page.wait(lambda: len(page.complaints()) == 1), page.complaints()
    return page.complaints()[0]


def test_an_error(page: ComfyPage, clip: str) -> None:
    """It stands on the node and in the details, in words; it goes when the node runs well."""
    ids = page.add_nodes(graph(clip, start_offset=5.0))
    assert page.run() == "error"
    text = page.node_text(ids["extract"])
    assert text is not None and "start of 5 s" in text and "Lower start_offset" in text
    assert page.node_text(ids["sample"]) is None and page.node_text(ids["mux"]) is None

    assert "MMAudio Feature Extract failed" in complaint(page)
    panel = page.open_error_details()
    said = f"**Exception Message:** MMAudioNodeError: {text}"
    assert page.wait(lambda: said in panel.inner_text())
    assert "**Exception Type:** MMAudioNodeError\n" in panel.inner_text()  # without a path

    page.set_widgets(ids["extract"], start_offset=0.5)
    assert page.run() == "success"
    assert page.node_text(ids["extract"]) is None and page.complaints() == []


def test_an_error_goes_when_the_result_is_cached(page: ComfyPage, clip: str) -> None:
    ids = page.add_nodes(graph(clip, duration=1.0))
    assert page.run() == "success"
    page.set_widgets(ids["extract"], start_offset=5.0)
    assert page.run() == "error" and page.node_text(ids["extract"])
    page.set_widgets(ids["extract"], start_offset=0.0)
    assert page.run() == "success" and page.node_text(ids["extract"]) is None


def test_an_error_goes_when_another_node_fails_first(page: ComfyPage, clip: str) -> None:
    ids = page.add_nodes(graph(clip, start_offset=5.0))
    assert page.run() == "error" and page.node_text(ids["extract"])
    page.set_widgets(ids["load"], model="medium_44k")
    assert page.run() == "error"
    assert page.wait(lambda: "no file found" in (page.node_text(ids["load"]) or ""))
    assert page.node_text(ids["extract"]) is None


def test_a_long_error_scrolls_and_links(page: ComfyPage) -> None:
    """The addresses of weights that are missing."""
    ids = page.add_nodes(saved(sound(load={"model": "medium_44k"})))
    height = {box.id: box.height for box in page.boxes()}[ids["load"]]
    assert page.run() == "error"
    assert "download_missing" in (page.node_text(ids["load"]) or "")
    box = page.told()
    link = box.get_by_role("link").first
    assert (link.get_attribute("href") or "").endswith(link.inner_text())
    assert box.evaluate("(box) => box.offsetHeight < box.scrollHeight && box.offsetHeight <= 160")
    grown = {box.id: box.height for box in page.boxes()}[ids["load"]]
    assert height < grown <= height + 220


def test_a_notice(page: ComfyPage, clip: str) -> None:
    """It stays as long as it holds: from the cache, and after a reload."""
    ids = page.add_nodes(graph(clip, duration=9.0))
    height = {box.id: box.height for box in page.boxes()}[ids["extract"]]
    assert page.run() == "success"
    text = page.node_text(ids["extract"])
    assert text is not None and "2.00 s long, not 9 s" in text
    assert "synthetic weights" in (page.node_text(ids["load"]) or "")

    page.set_widgets(ids["sample"], seed=7)
    assert page.run() == "success" and page.node_text(ids["extract"]) == text
    page.reload()
    assert page.wait(lambda: page.node_text(ids["extract"]) == text)

    page.set_widgets(ids["extract"], duration=1.5)
    assert page.run() == "success" and page.node_text(ids["extract"]) is None
    boxes = {box.id: box.height for box in page.boxes()}
    assert boxes[ids["extract"]] == pytest.approx(height, abs=1)  # as tall as before


def test_a_list_of_clips(page: ComfyPage) -> None:
    """Alike notices are one, which says whose it is."""
    frames = node("EmptyImage", width=32, height=32, batch_size=93, color=0)
    clips = {"frames": frames, "clips": node("RebatchImages", images=["frames", 0], batch_size=25)}
    extract = {"images": ["clips", 0], "duration": 0.9, "prompt": f"{time.time()}"}
    ids = page.add_nodes(saved(sound(extract=extract) | clips))
    assert page.run() == "success"
    text = page.node_text(ids["extract"])
    assert text is not None and text.startswith("Item 4: the sound is 0.72 s long, not 0.9 s")
    page.set_widgets(ids["extract"], duration=2.0)
    assert page.run() == "success"
    lines = (page.node_text(ids["extract"]) or "").splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Items 1, 2, 3", "Item 4"]
    assert "1.00 s long" in lines[0] and "0.72 s long" in lines[1]


def test_a_subgraph(page: ComfyPage, clip: str) -> None:
    """What nodes tell while another graph is in view."""
    ids = page.add_nodes(graph(clip, duration=9.0))
    subgraph = page.into_subgraph(ids["extract"])
    assert page.run() == "success"
    (extract,) = page.enter(subgraph)
    assert "2.00 s long" in (page.node_text(extract) or "")

    page.set_widgets(extract, start_offset=5.0)
    page.leave()
    assert page.run() == "error"
    page.reload()
    page.enter(subgraph)
    assert page.wait(lambda: "start of 5 s" in (page.node_text(extract) or ""))


def test_a_graph_in_another_tab_tells_nothing_here(page: ComfyPage, clip: str) -> None:
    """Its nodes have the ids of those in view; the texts are there when it is in view again."""
    ids = page.add_nodes(graph(clip, start_offset=5.0))
    first = page.graph()
    page.page.evaluate(
        """(first) => {
          const {app} = window;
          const loaded = app.loadGraphData;
          app.api.addEventListener('execution_start', () => loaded.call(
            app, {...first, id: crypto.randomUUID()}, true, true, 'other'), {once: true});
        }""",
        first,
    )
    assert page.run() == "error"
    assert page.graph()["id"] != first["id"] and page.told().count() == 0
    page.open_graph(first)
    assert page.wait(lambda: "start of 5 s" in (page.node_text(ids["extract"]) or ""))


def test_events_that_overtake_the_answer_to_the_prompt(page: ComfyPage, clip: str) -> None:
    """An error takes the place of an earlier one."""
    ids = page.add_nodes(graph(clip, start_offset=5.0))
    assert page.run() == "error"
    page.page.evaluate(
        """() => {
          const {api} = window.app;
          const {fetchApi} = api;
          api.fetchApi = async (path, ...options) => {
            const answer = await fetchApi.call(api, path, ...options);
            if (path === '/prompt') {
              api.fetchApi = fetchApi;
              await new Promise((done) => setTimeout(done, 2000));
            }
            return answer;
          };
        }"""
    )
    page.set_widgets(ids["extract"], start_offset=4.0)
    assert page.run() == "error"
    assert page.wait(lambda: "start of 4 s" in (page.node_text(ids["extract"]) or ""))


def test_a_template_opened_anew_tells_nothing(page: ComfyPage, clip: str) -> None:
    """It has the id of the graph that ran, and none of its choices."""
    name = "MMAudio repair sound of a video"
    page.open_template(name)
    page.set_widgets("LoadVideo", file=clip)
    page.set_widgets("MMAudioFeatureExtract", start_offset=5.0)
    assert page.run() == "error"
    page.reload()
    told = page.told()
    assert page.wait(lambda: told.count() == 2)  # the error, and the notice of the loader
    page.open_template(name)
    assert page.wait(lambda: told.count() == 1)
    (text,) = told.all_inner_texts()
    assert text.startswith("these are synthetic weights")


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, ("neither video nor images", "Connect one")),
        ({"video": ["video", 0], "images": ["image", 0]}, ("both video and images", "Disconnect")),
    ],
)
def test_a_refusal(
    page: ComfyPage, clip: str, inputs: dict[str, Any], words: tuple[str, ...]
) -> None:
    """Links that cannot work are refused before anything runs, in words."""
    page.forgive("400 for", "PromptExecutionError")  # which the page makes of the status
    page.add_nodes(muxed(sound(video=clip, image=IMAGE), **inputs))
    assert page.run() == "refused"
    shown = complaint(page)
    assert "Mux Audio and Video" in shown and all(word in shown for word in words), shown
    panel = page.open_error_details()
    assert page.wait(lambda: all(word in panel.inner_text() for word in words))
