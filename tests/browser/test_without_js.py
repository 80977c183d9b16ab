"""A page that gets none of the pack's scripts: every node works, only the panel is not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.server import ALIAS, ComfyServer
from tests.nodes.graphs import muxed, node, sound

from .chromium import Chromium
from .page import SIZE, ComfyPage


@pytest.fixture
def page(chromium: Chromium, comfy: ComfyServer) -> Iterator[ComfyPage]:
    context = chromium.new_context(viewport=SIZE)
    context.route(f"**/extensions/{ALIAS}/**", lambda route: route.abort())
    yield ComfyPage(context, comfy, "nodes2")
    context.close()


def test_nodes_work_and_a_take_is_kept(page: ComfyPage, clip: str) -> None:
    made = page.page.evaluate(
        """() => Object.entries(window.LiteGraph.registered_node_types)
          .filter(([, type]) => /MMAudio|MuxAudioVideo/.test(type.nodeData?.name ?? ''))
          .map(([name]) => window.LiteGraph.createNode(name)?.inputs.length ?? name)"""
    )
    assert len(made) > 15 and all(isinstance(inputs, int) for inputs in made)
    graph = sound(video=clip, sample={"num_samples": 2})
    graph["takes"] = node("MMAudioTakes", audio=["sample", 0], video=["video", 0])
    ids = page.add_nodes(muxed(graph, audio=["takes", 0], video=["video", 0]))
    page.set_widgets(ids["takes"], take=1)
    assert page.run() == "success", page.messages()
    assert page.page.locator(".mmaudio-takes").count() == 0
    assert page.results()  # the page's own player
    assert page.prompt()[ids["takes"]]["inputs"]["take"] == 1
