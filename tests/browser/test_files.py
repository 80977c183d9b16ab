"""Files that the pack saves: they carry their graph, are played, and are not made anew.

Dropped onto the page, they open their graph. None is deleted: the page may still ask for it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from dev.server import ComfyServer
from tests.nodes.graphs import Graph, muxed, node, saved, sound

from .page import ComfyPage


def opens_its_graph(page: ComfyPage, graph: Graph, suffix: str, comfy: ComfyServer) -> None:
    before = set(comfy.output.rglob(f"*{suffix}"))
    page.add_nodes(graph)
    made_by = page.graph()
    assert page.run() == "success"
    (made,) = set(comfy.output.rglob(f"*{suffix}")) - before
    page.add_nodes({})
    assert page.graph()["nodes"] == []
    if suffix == ".m4a":  # which the page does not know
        made = Path(shutil.copy(made, made.with_suffix(".mp4")))
    page.drop(made)
    assert page.wait(lambda: len(page.graph()["nodes"]) == len(made_by["nodes"]))
    opened = page.graph()
    assert opened["links"] == made_by["links"]
    for key in ("id", "type", "widgets_values"):
        assert [n.get(key) for n in opened["nodes"]] == [n.get(key) for n in made_by["nodes"]]


@pytest.mark.parametrize("container", ["mp4", "mov", "webm"])
def test_a_video(page: ComfyPage, comfy: ComfyServer, clip: str, container: str) -> None:
    graph = muxed(
        sound(video=clip, extract={"duration": 1.0}), video=["video", 0], container=container
    )
    opens_its_graph(page, graph, f".{container}", comfy)


@pytest.mark.parametrize("file_format", ["flac", "m4a"])
def test_a_sound_of_ours(page: ComfyPage, comfy: ComfyServer, file_format: str) -> None:
    graph = sound(sample={"seed": 4})
    inputs = {"audio": ["sample", 0], "filename_prefix": "dropped/sound", "format": file_format}
    graph["keep"] = node("MMAudioSaveAudio", **inputs)
    opens_its_graph(page, graph, f".{file_format}", comfy)


def test_a_sound(page: ComfyPage, comfy: ComfyServer) -> None:
    """Written by ComfyUI's own node."""
    opens_its_graph(page, saved(sound(sample={"seed": 3})), ".flac", comfy)


def test_tokens_in_file_names(page: ComfyPage, comfy: ComfyServer, clip: str) -> None:
    """A title given in the page names a node, and its widget is replaced."""
    graph = muxed(sound(video=clip, extract={"prompt": "a door"}), video=["video", 0])
    graph["sample"] |= {"_meta": {"title": "My sampler"}}
    graph["mux"]["inputs"]["filename_prefix"] = (
        "tokens/%width%x%height%_%My sampler.steps%_%MMAudioFeatureExtract.prompt%"
    )
    before = set(comfy.output.glob("tokens/*"))
    page.add_nodes(graph)
    assert page.run() == "success"
    (made,) = set(comfy.output.glob("tokens/*")) - before
    assert re.fullmatch(r"96x96_1_a door_\d{5}_\.mp4", made.name)


# --- played, and made once


def kept(**inputs: str) -> Graph:
    """A second of sound, saved."""
    keep = node("MMAudioSaveAudio", audio=["sample", 0], **inputs)
    return sound(extract={"duration": 1.0}, keep=keep)


def check_player(page: ComfyPage) -> None:
    for file_format in ("flac", "m4a"):
        ids = page.add_nodes(kept(filename_prefix="page/sound", format=file_format))
        assert page.widgets(ids["keep"])[:2] == ["filename_prefix", "format"]
        assert "audioUI" not in page.prompt()[ids["keep"]]["inputs"]
        assert page.run() == "success"
        assert page.results() == [pytest.approx(1.0, abs=1e-3)], file_format
        values = page.graph()["nodes"][-1]["widgets_values"]
        assert values[:2] == ["page/sound", file_format], values


def test_a_sound_is_played(page: ComfyPage) -> None:
    check_player(page)


def run_again(page: ComfyPage, prefix: str) -> None:
    """Two more runs, in which nothing changes, make no further file."""
    folder = page.server.output / "again"
    before = set(folder.glob(f"{prefix}*"))
    assert page.run() == "success"
    (made,) = set(folder.glob(f"{prefix}*")) - before
    for _ in range(2):
        assert page.results()  # the page has loaded it, and keeps its own widget for it
        assert page.run() == "success"
    assert set(folder.glob(f"{prefix}*")) - before == {made}


def test_a_sound_that_did_not_change_is_not_made_again(page: ComfyPage) -> None:
    prefix = f"{page.renderer}_sound"
    ids = page.add_nodes(kept(filename_prefix=f"again/{prefix}"))
    page.set_widgets(ids["sample"], seed=12, control_after_generate="fixed")
    run_again(page, prefix)


@pytest.mark.older
def test_the_oldest_page_plays_it(classic_page: ComfyPage) -> None:
    check_player(classic_page)


def test_a_video_that_did_not_change_is_not_made_again(page: ComfyPage, clip: str) -> None:
    prefix = f"{page.renderer}_video"
    graph = sound(video=clip, extract={"prompt": page.renderer})
    ids = page.add_nodes(muxed(graph, video=["video", 0]))
    page.set_widgets(ids["mux"], filename_prefix=f"again/{prefix}")
    page.set_widgets(ids["sample"], seed=11, control_after_generate="fixed")
    run_again(page, prefix)
