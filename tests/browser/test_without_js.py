"""A page that gets none of the pack's scripts: every node works, only the panel is not there."""

from __future__ import annotations

from playwright.sync_api import Browser

from dev.server import ALIAS, ComfyServer
from tests.core.made_videos import steady, write_video
from tests.nodes.graphs import muxed, node, sound

from .page import SIZE, ComfyPage


def test_nodes_work_and_a_take_is_kept(browser: Browser, comfy: ComfyServer) -> None:
    write_video(comfy.input / "blocked.mp4", steady(25, 25))
    context = browser.new_context(viewport=SIZE)
    context.route(f"**/extensions/{ALIAS}/**", lambda route: route.abort())
    page = ComfyPage(context, comfy, "nodes2")
    made = page.page.evaluate(
        """() => Object.entries(window.LiteGraph.registered_node_types)
          .filter(([, type]) => /MMAudio|MuxAudioVideo/.test(type.nodeData?.name ?? ''))
          .map(([name]) => window.LiteGraph.createNode(name)?.inputs.length ?? name)"""
    )
    assert len(made) > 15 and all(isinstance(inputs, int) for inputs in made)
    graph = sound(video="blocked.mp4", sample={"num_samples": 2})
    graph["takes"] = node("MMAudioTakes", audio=["sample", 0], video=["video", 0])
    ids = page.add_nodes(muxed(graph, audio=["takes", 0], video=["video", 0]))
    page.set_widgets(ids["takes"], take=1)
    assert page.run() == "success", page.messages()
    assert page.page.locator(".mmaudio-takes").count() == 0
    assert page.results()  # the page's own player
    assert page.prompt()[ids["takes"]]["inputs"]["take"] == 1
    context.close()
