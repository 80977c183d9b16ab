"""Sound that the page plays on the node that saved it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from dev.server import ComfyServer
from tests.nodes.graphs import Graph, node, sound

from .page import SIZE, ComfyPage


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


def test_nothing_runs_again_that_did_not_change(page: ComfyPage) -> None:
    ids = page.add_nodes(kept(filename_prefix=f"again/{page.renderer}_sound"))
    page.set_widgets(ids["sample"], seed=12, control_after_generate="fixed")
    for _ in range(3):
        assert page.run() == "success"
    assert len(list((page.server.output / "again").glob(f"{page.renderer}_sound*"))) == 1


@pytest.mark.every_version
def test_the_oldest_page_plays_it(browser: Browser, comfy: ComfyServer) -> None:
    context = browser.new_context(viewport=SIZE)
    page = ComfyPage(context, comfy, "classic")
    check_player(page)
    assert page.errors == []
    context.close()
