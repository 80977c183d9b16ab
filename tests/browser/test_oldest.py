"""The oldest version's page, with the classic canvas: a graph runs, tells its notice, is heard."""

from __future__ import annotations

import pytest

from tests.nodes.graphs import muxed, sound

from .page import ComfyPage
from .takes import Panel


@pytest.mark.every_version
def test_a_graph_runs_and_tells(classic_page: ComfyPage, clip: str) -> None:
    page = classic_page
    ids = page.add_nodes(muxed(sound(video=clip, extract={"duration": 9.0}), video=["video", 0]))
    names = page.widgets(ids["mux"])
    assert names == ["filename_prefix", "frame_rate", "start_offset", "take"]
    assert page.run() == "success"
    assert "2.00 s long" in (page.node_text(ids["extract"]) or "")
    assert page.results()
    panel = Panel(page, ids["mux"])
    panel.play()
    assert panel.heard() == [0]
    panel.pause()
    page.reload()
    assert page.wait(lambda: "2.00 s long" in (page.node_text(ids["extract"]) or ""))
    page.set_widgets(ids["extract"], start_offset=5.0)
    assert page.run() == "error"
    assert Panel(page, ids["mux"]).root.locator(".lane").count() == 1  # of the run before
    assert "Lower start_offset" in (page.node_text(ids["extract"]) or "")
