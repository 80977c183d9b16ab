"""Run pressed again."""

from __future__ import annotations

from tests.nodes.graphs import muxed, sound

from .page import ComfyPage


def test_nothing_runs_again_that_did_not_change(page: ComfyPage, clip: str) -> None:
    graph = sound(video=clip, extract={"prompt": page.renderer})
    ids = page.add_nodes(muxed(graph, video=["video", 0]))
    page.set_widgets(ids["mux"], filename_prefix=f"again/{page.renderer}")
    page.set_widgets(ids["sample"], seed=11, control_after_generate="fixed")
    for _ in range(3):
        assert page.run() == "success"
        page.page.wait_for_timeout(1500)
    found = list((page.server.output / "again").glob(f"{page.renderer}*"))
    assert len(found) == 1
