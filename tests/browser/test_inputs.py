"""Advanced inputs: folded, and complete."""

from __future__ import annotations

from tests.nodes.graphs import MODEL, muxed, node, sound

from .page import ComfyPage

PLAIN = ["filename_prefix", "frame_rate", "start_offset", "take"]


def height(page: ComfyPage, node: str) -> float:
    return next(box.height for box in page.boxes() if box.id == node)


def test_folding(page: ComfyPage, clip: str) -> None:
    """A folded input takes no room."""
    ids = page.add_nodes(muxed(sound(video=clip), video=["video", 0]))
    mux = ids["mux"]
    assert page.widgets(mux) == PLAIN
    assert page.widgets(ids["load"]) == ["model", "precision", "download_missing"]
    folded = height(page, mux)
    page.toggle_advanced(mux)
    unfolded = page.widgets(mux)
    assert unfolded[:4] == PLAIN and {"gain_db", "loudness", "crf"} < set(unfolded)
    room = 15 * (len(unfolded) - len(PLAIN))  # at the least
    assert height(page, mux) > folded + room
    page.toggle_advanced(mux)
    assert page.widgets(mux) == PLAIN
    assert abs(height(page, mux) - folded) <= 1


def test_a_link_shows_its_input(page: ComfyPage, clip: str) -> None:
    gain = node("PrimitiveFloat", value=-6.0)
    ids = page.add_nodes(muxed(sound(video=clip, gain=gain), video=["video", 0]))
    page.connect(ids["gain"], 0, ids["mux"], "gain_db")
    page.settle()
    assert page.widgets(ids["mux"]) == [*PLAIN, "gain_db"]
    page.disconnect(ids["mux"], "gain_db")
    page.settle()
    assert page.widgets(ids["mux"]) == PLAIN


def test_the_setting_shows_all(page: ComfyPage, clip: str) -> None:
    ids = page.add_nodes(muxed(sound(video=clip), video=["video", 0]))
    setting = "Comfy.Node.AlwaysShowAdvancedWidgets"
    page.change_setting(setting, True)
    assert "crf" in page.widgets(ids["mux"])
    page.change_setting(setting, False)
    assert page.widgets(ids["mux"]) == PLAIN


def test_folded_values_are_saved(page: ComfyPage, clip: str) -> None:
    """In the graph and in the prompt; a graph that is opened again shows and runs the same."""
    ids = page.add_nodes(muxed(sound(video=clip), video=["video", 0]))
    page.set_widgets(ids["mux"], gain_db=-3.0, container="mkv", crf=30)
    saved, prompt = page.graph(), page.prompt()
    assert prompt[ids["mux"]]["inputs"]["container"] == "mkv"
    page.open_graph(saved)
    assert page.prompt() == prompt
    assert page.graph()["nodes"] == saved["nodes"]
    assert page.widgets(ids["mux"]) == PLAIN


def test_an_open_graph_is_there_after_a_reload(page: ComfyPage, clip: str) -> None:
    ids = page.add_nodes(muxed(sound(video=clip), video=["video", 0]))
    page.set_widgets(ids["mux"], gain_db=-3.0)
    page.set_widgets(ids["sample"], seed=5)
    assert page.run() == "success"
    before = page.prompt()
    assert before[ids["load"]]["inputs"]["model"] == MODEL
    page.reload()
    assert page.wait(lambda: page.prompt() == before)
