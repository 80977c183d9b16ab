"""What people type finds the node of the pack that they want first, and the blueprint.

The blueprint "Sound for video" runs between two nodes of ComfyUI.
"""

from __future__ import annotations

import pytest

from .page import ComfyPage
from .search_box import SearchBox, put_down

OURS = ("MMAudio Feature Extract", "MMAudio Sampler", "Mux Audio and Video", "MMAudio Encode")
BLUEPRINT = "Sound for video"
EMPTY = {"version": 0.4, "nodes": [], "links": [], "last_node_id": 0, "last_link_id": 0}
# Load Video -> the only node there is -> Save Video; returns that node's id and its widgets.
_CONNECT = """(clip) => {
  const {app, LiteGraph} = window;
  const [sound] = app.rootGraph.nodes;
  const add = (type, x) => {
    const node = LiteGraph.createNode(type);
    app.rootGraph.add(node);
    node.pos = [x, 0];
    return node;
  };
  sound.pos = [500, 0];
  const [load, save] = [add('LoadVideo', 0), add('SaveVideo', 1000)];
  load.widgets.find(({name}) => name === 'file').value = clip;
  load.connect(0, sound, sound.inputs.findIndex(({name}) => name === 'video'));
  sound.connect(0, save, 0);
  return [String(sound.id), sound.widgets.map(({name}) => name)];
}"""


@pytest.mark.parametrize(
    ("words", "node"),
    [
        ("foley", "MMAudio Feature Extract"),
        ("sfx", "MMAudio Feature Extract"),
        ("sound effects", "MMAudio Feature Extract"),
        ("video to audio", "MMAudio Feature Extract"),
        ("add sound to video", "MMAudio Feature Extract"),
        ("soundtrack", "MMAudio Feature Extract"),
        ("add audio to video", "Mux Audio and Video"),
    ],
)
def test_search(page: ComfyPage, words: str, node: str) -> None:
    """First of the pack's nodes; some words stand in the names of ComfyUI's own nodes, too."""
    with SearchBox(page) as box:
        found = box.search(words)
    assert next(name for name in found if name in OURS) == node, found


def test_the_blueprint(page: ComfyPage, clip: str) -> None:
    page.open_graph(EMPTY)
    with SearchBox(page) as box:
        assert BLUEPRINT in box.search(BLUEPRINT)
        box.choose(BLUEPRINT)
    assert page.wait(lambda: len(page.graph()["nodes"]) == 1)
    put_down(page, 700, 500)

    node, widgets = page.page.evaluate(_CONNECT, clip)
    assert widgets == ["prompt", "negative_prompt", "seed", "model", "download_missing"]
    page.set_widgets(node, prompt="rain", seed=5)
    inner = {entry["class_type"]: entry["inputs"] for entry in page.prompt().values()}
    assert inner["MMAudioFeatureExtract"]["prompt"] == "rain"
    assert inner["MMAudioSampler"]["seed"] == 5

    assert page.run() == "success", page.messages()
    page.fit_view()
    assert page.results() == [2.0]
    assert page.complaints() == [] and page.errors == []
