"""Workflows of kijai/ComfyUI-MMAudio, opened in the page."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np
import pytest

from dev.server import ComfyServer
from tests.kijai_graphs import (
    CFG,
    DURATION,
    FILES,
    SEED,
    graph,
    load_video,
    model_loader,
    numbered,
    our_prompt,
    sampler,
    saved_node,
    their_prompt,
    utils_loader,
    video_parts,
    vocoder_loader,
    workflow,
)
from tests.nodes.graphs import generate, read_audio
from tests.pack import load_pack_module

from .page import ComfyPage

OURS = {"LoadMMAudioModel", "MMAudioFeatureExtract", "MMAudioSampler", "MuxAudioVideo"}
SAYS = load_pack_module("nodes.kijai_convert").TABLE["says"]
EMPTY = graph([saved_node(1, "EmptyImage", (0, 0), (300, 150), values=[64, 64, 1, 0])], [])


@pytest.fixture
def page(page: ComfyPage) -> Iterator[ComfyPage]:
    """What the page says of nodes that it does not know is not for the next test."""
    yield page
    page.open_graph(copy.deepcopy(EMPTY))


def toasts(page: ComfyPage, count: int = 1) -> list[str]:
    """What the pack tells, so many times, and closes it."""
    shown = page.page.locator(".p-toast-message", has_text="MMAudio")
    assert page.wait(lambda: shown.count() == count), shown.all_inner_texts()
    said = shown.all_inner_texts()
    shown.evaluate_all("(all) => { for (const one of all) one.querySelector('button').click(); }")
    assert page.wait(lambda: shown.count() == 0)
    return said


def nodes(saved: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Nodes by type, of a graph that has one of each."""
    assert len({one["type"] for one in saved["nodes"]}) == len(saved["nodes"])
    return {one["type"]: one for one in saved["nodes"]}


def named(page: ComfyPage, kind: str, id: Any) -> dict[str, Any]:
    """Inputs of the prompt's node of that id, which is of that type."""
    entry = page.prompt()[str(id)]
    assert entry["class_type"] == kind
    return entry["inputs"]


def opens_and_runs(page: ComfyPage, comfy: ComfyServer, clip: str, prefix: str) -> None:
    theirs = workflow(clip, prefix)
    page.open_graph(copy.deepcopy(theirs), "theirs")
    (told,) = toasts(page)
    assert SAYS["done"] in told and "frame_rate" not in told and "models/mmaudio" not in told
    opened = page.graph()
    found = nodes(opened)
    assert not [kind for kind in found if kind.startswith("MMAudio") and kind.endswith("Loader")]
    loader, extract, sample = (
        found[kind] for kind in ("LoadMMAudioModel", "MMAudioFeatureExtract", "MMAudioSampler")
    )
    assert (loader["id"], sample["id"]) == (1, 4)
    assert loader["title"] == "The weights" and loader["color"] == "#432"
    assert loader["pos"] == [0, 0] and sample["pos"] == [900, 0]
    names = ("model", "vae", "synchformer", "clip", "vocoder")
    kept = {name: named(page, "LoadMMAudioModel", 1)[name] for name in names}
    assert kept == FILES and named(page, "LoadMMAudioModel", 1)["precision"] == "fp32"
    assert named(page, "MMAudioFeatureExtract", extract["id"]) == {
        "mmaudio": ["1", 0],
        "images": ["6", 0],
        "frame_rate": ["6", 2],
        "prompt": "rain",
        "negative_prompt": "music",
        "duration": DURATION,
        "start_offset": 0,
        "mask_away_clip": False,
        "negative_preset": "none",
    }
    wanted = {"mmaudio": ["1", 0], "features": [str(extract["id"]), 0], "seed": SEED, "steps": 2}
    made = named(page, "MMAudioSampler", 4)
    assert made.items() >= (wanted | {"cfg": CFG, "num_samples": 1}).items()
    assert "fixed" in sample["widgets_values"]
    # what was theirs stays: reroutes, groups, and the other nodes
    assert found["Reroute"]["outputs"][0]["type"] == "MMAUDIO"
    (group,) = opened["groups"]
    x, y, width, height = group["bounding"]
    assert group["title"] == "Sound" and [x, y] <= [880, -80] and x + width >= 1320
    for place, size in ((one["pos"], one["size"]) for one in (extract, sample)):
        assert x <= place[0] and place[0] + size[0] <= x + width
        assert y <= place[1] and place[1] + size[1] <= y + height
    assert not [pair for pair in page.overlaps() if any("MMAudio" in one for one in pair)]
    assert page.complaints() == []
    assert page.page.locator("textarea").count() == 2  # the prompts, and none of another node

    before = set(comfy.output.glob(f"{prefix}/*"))
    assert page.run() == "success", page.messages()
    made = set(comfy.output.glob(f"{prefix}/*")) - before
    (sound,) = (path for path in made if path.name.startswith("audio"))
    assert np.array_equal(read_audio(sound)[0], generate(comfy, our_prompt(clip))[0])
    (video,) = (path for path in made if path.name.startswith("video"))
    with av.open(video) as container:
        assert [one.type for one in container.streams] == ["video", "audio"]


def test_it_opens_as_ours_and_runs(page: ComfyPage, comfy: ComfyServer, clip: str) -> None:
    """And sounds as a graph of our own, sample for sample."""
    opens_and_runs(page, comfy, clip, f"kijai-{page.renderer}")


@pytest.mark.older
def test_in_the_oldest_page(classic_page: ComfyPage, comfy: ComfyServer, clip: str) -> None:
    opens_and_runs(classic_page, comfy, clip, "kijai-oldest")


def test_the_page_and_the_server_agree(page: ComfyPage, clip: str) -> None:
    """On a workflow, and on the API prompt of the same."""
    page.open_graph(workflow(clip))
    toasts(page)
    keys = {"1": "model", "4": "sample", "5": "video", "6": "parts"}
    prompt = page.prompt()
    kinds = {key: entry["class_type"] for key, entry in prompt.items()}
    (extract,) = (key for key, kind in kinds.items() if kind == "MMAudioFeatureExtract")
    keys[extract] = "sample-features"
    convert = load_pack_module("nodes.kijai_convert").convert
    expected, notices = convert(their_prompt(clip), lambda kind: [FILES[kind]], OURS)
    assert notices == [SAYS["done"]]
    for key, name in keys.items():
        inputs = {
            input: [keys[value[0]], value[1]] if isinstance(value, list) else value
            for input, value in prompt[key]["inputs"].items()
        }
        assert kinds[key] == expected[name]["class_type"]
        assert inputs.items() >= expected[name]["inputs"].items()


def test_once_opened_it_is_ours(page: ComfyPage, clip: str) -> None:
    """Undone, opened anew from what is saved, and after a reload, nothing is converted again."""
    page.open_graph(workflow(clip))
    toasts(page)
    opened, prompt = page.graph(), page.prompt()
    page.page.mouse.click(800, 940)
    page.set_widgets("MMAudioFeatureExtract", prompt="wind")
    page.page.evaluate(
        """async () => {
          const {changeTracker} = window.app.extensionManager.workflow.activeWorkflow;
          (changeTracker.captureCanvasState ?? changeTracker.checkState).call(changeTracker);
          await changeTracker.undo();
        }"""
    )
    page.settle()
    assert page.prompt() == prompt
    page.open_graph(opened)
    assert page.prompt() == prompt
    page.reload()
    assert page.wait(lambda: page.prompt() == prompt)
    toasts(page, 0)


def test_a_dropped_file(page: ComfyPage, comfy: ComfyServer, clip: str) -> None:
    path = comfy.output / "theirs.json"
    path.write_text(json.dumps(workflow(clip)), encoding="utf-8")
    page.open_graph(copy.deepcopy(EMPTY))
    page.drop(path)
    assert page.wait(lambda: "LoadMMAudioModel" in json.dumps(page.graph()))
    assert SAYS["done"] in toasts(page)[0]


@pytest.mark.every_version
def test_a_dropped_api_prompt(classic_page: ComfyPage, comfy: ComfyServer, clip: str) -> None:
    """As programs have them, also in the oldest page."""
    page = classic_page
    path = comfy.output / "theirs_api.json"
    theirs = numbered(their_prompt(clip))
    path.write_text(json.dumps(theirs), encoding="utf-8")
    page.drop(path)
    assert page.wait(lambda: "MMAudioFeatureExtract" in json.dumps(page.graph()))
    page.settle()
    assert SAYS["done"] in toasts(page)[0]
    convert = load_pack_module("nodes.kijai_convert").convert
    expected, _ = convert(theirs, lambda kind: [FILES[kind]], OURS)
    made = page.prompt()
    assert {key: one["class_type"] for key, one in made.items()} == {
        key: one["class_type"] for key, one in expected.items()
    }
    for key, one in expected.items():
        assert made[key]["inputs"].items() >= one["inputs"].items()


# --- what is left alone


def test_ours_and_others_are_not_touched(page: ComfyPage, clip: str) -> None:
    page.open_template("MMAudio video to audio")
    page.open_graph(page.graph())
    page.open_graph(copy.deepcopy(EMPTY))
    toasts(page, 0)


Change = Callable[[dict[str, Any]], Any]


def _mixed(saved: dict[str, Any]) -> None:
    mux = saved_node(30, "MuxAudioVideo", (2000, 0), (300, 300), inputs=[("audio", "AUDIO")])
    saved["nodes"].append(mux)


def _values(saved: dict[str, Any]) -> None:
    saved["nodes"][3]["widgets_values"].insert(2, "a value of a later version")


def _another_pack(saved: dict[str, Any]) -> None:
    other = saved_node(30, "Note", (2000, 0), (300, 300), inputs=[("models", "*")])
    other["inputs"][0]["link"] = 30
    saved["nodes"].append(other)
    saved["links"].append([30, 3, 0, 30, 0, "MMAUDIO_FEATUREUTILS"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_mixed, SAYS["mixed"]),
        (_values, "MMAudio Sampler has inputs that are not known"),
        (_another_pack, "MMAudio FeatureUtilsLoader is connected to a node"),
    ],
)
def test_what_is_left_alone_is_told(page: ComfyPage, clip: str, change: Change, words: str) -> None:
    theirs = workflow(clip)
    change(theirs)
    page.open_graph(copy.deepcopy(theirs))
    (told,) = toasts(page)
    assert words in told
    kept = {one["id"]: one["type"] for one in page.graph()["nodes"]}
    assert kept == {one["id"]: one["type"] for one in theirs["nodes"]}


@pytest.mark.parametrize(
    "break_",
    [
        "graph => { graph.nodes[3].inputs = 5; }",
        "graph => { graph.nodes[3].outputs = null; graph.links = [null, 3, ['x']]; }",
        "graph => { delete graph.links; graph.nodes[0].pos = null; }",
        "graph => { graph.groups = [{}]; graph.extra = null; }",
        "graph => { graph.definitions = {subgraphs: [{id: 'x'}]}; }",
    ],
)
def test_no_exception_leaves_the_hook(page: ComfyPage, clip: str, break_: str) -> None:
    """With what no page saves; the graph is changed as a whole or not at all."""
    raised = page.page.evaluate(
        """async ([graph, change]) => {
          eval(change)(graph);
          const before = JSON.stringify(graph);
          const ours = window.app.extensions.find(({name}) => name === 'MMAudio.KijaiGraphs');
          try { await ours.beforeConfigureGraph(graph, []); } catch (error) { return `${error}`; }
          const text = JSON.stringify(graph);
          const whole = !/MMAudio(Model|FeatureUtils)Loader/.test(text);
          return whole || text === before ? '' : text;
        }""",
        [workflow(clip), break_],
    )
    assert raised == ""
    toasts(page)


# --- more of what graphs have


def rate(page: ComfyPage) -> tuple[dict[str, Any], str]:
    """What tells the rate of the images, and what is told."""
    (told,) = toasts(page)
    (extract,) = (n for n in page.graph()["nodes"] if n["type"] == "MMAudioFeatureExtract")
    links = {one[0]: one[1:3] for one in page.graph()["links"]}
    linked = {one["name"]: links[one["link"]] for one in extract["inputs"] if one["link"]}
    value = page.page.evaluate(
        "(id) => window.app.graph.getNodeById(id).widgets"
        ".find(({name}) => name === 'frame_rate').value",
        extract["id"],
    )
    return {"value": value, **linked}, told


def images_from(source: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """A graph whose images come from node 6, which another pack has."""
    links: list[Any] = [
        (1, 1, 0, 4, 0, "MMAUDIO_MODEL"),
        (2, 3, 0, 4, 1, "MMAUDIO_FEATUREUTILS"),
        (3, 6, 0, 4, 2, "IMAGE"),
    ]
    for number, one in enumerate(more):
        links += [
            (10 + 2 * number, 6, 0, one["id"], 0, "IMAGE"),
            (11 + 2 * number, 4, 0, one["id"], 1, "AUDIO"),
        ]
    return graph([model_loader(), utils_loader(), sampler(), source, *more], links)


def test_the_rate_of_images(page: ComfyPage) -> None:
    """From VideoHelperSuite's loader, else from what combines them, else asked for on the node."""
    vhs = saved_node(
        6,
        "VHS_LoadVideo",
        (0, 400),
        (300, 300),
        outputs=[
            ("IMAGE", "IMAGE"),
            ("frame_count", "INT"),
            ("audio", "AUDIO"),
            ("video_info", "VHS_VIDEOINFO"),
        ],
        values={"video": "a.mp4", "force_rate": 0},
    )
    page.open_graph(images_from(vhs))
    found, told = rate(page)
    assert found["video_info"] == [6, 3] and "frame_rate" not in told
    assert page.overlaps() == []  # the node is longer than the loader was in whose place it is

    generated = saved_node(6, "AnyVideo", (0, 400), (300, 300), outputs=[("IMAGE", "IMAGE")])
    combine = saved_node(
        7,
        "VHS_VideoCombine",
        (1400, 0),
        (300, 300),
        inputs=[("images", "IMAGE"), ("audio", "AUDIO")],
        values={"frame_rate": 16, "loop_count": 0},
    )
    page.open_graph(images_from(copy.deepcopy(generated), copy.deepcopy(combine)))
    found, told = rate(page)
    assert found["value"] == 16 and "frame_rate" not in told

    behind = images_from(copy.deepcopy(generated), copy.deepcopy(combine))
    scale = saved_node(
        8,
        "ImageScale",
        (460, 500),
        (270, 130),
        inputs=[("image", "IMAGE")],
        outputs=[("IMAGE", "IMAGE")],
        values=["lanczos", 64, 64, "disabled"],
    )
    scale["inputs"][0]["link"], scale["outputs"][0]["links"] = 3, [20]
    behind["links"] += [[20, 8, 0, 4, 2, "IMAGE"]]
    behind["links"][2][3:5] = [8, 0]
    behind["nodes"][2]["inputs"][2]["link"] = 20
    behind["nodes"] += [scale]
    behind["nodes"][2]["pos"] = {"0": 900, "1": 0}  # as older pages saved them
    page.open_graph(behind)
    found, told = rate(page)
    assert found["value"] == 16 and found["images"] == [8, 0] and "frame_rate" not in told

    page.open_graph(images_from(generated))
    (extract,) = (n for n in page.graph()["nodes"] if n["type"] == "MMAudioFeatureExtract")
    page.fit_view()
    assert page.node_text(str(extract["id"])) == SAYS["rate"]
    found, told = rate(page)
    assert found["value"] == 25 and SAYS["rate"] in told


def subgraph(nodes: list[dict[str, Any]], links: list[list[Any]], **borders: Any) -> dict[str, Any]:
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    return {
        "id": "5b0f2f4e-3a52-4f5f-8a9e-0f6f5f1f2a01",
        "version": 1,
        "state": {"lastGroupId": 0, "lastNodeId": 20, "lastLinkId": 30, "lastRerouteId": 0},
        "revision": 0,
        "config": {},
        "name": "Foley",
        "inputNode": {"id": -10, "bounding": [0, 0, 120, 60]},
        "outputNode": {"id": -20, "bounding": [1600, 0, 120, 60]},
        "widgets": [],
        "nodes": nodes,
        "groups": [],
        "links": [dict(zip(keys, link, strict=True)) for link in links],
        "extra": {},
        **borders,
    }


def border(name: str, kind: str, link: int) -> dict[str, Any]:
    id = f"00000000-0000-4000-8000-{link:012}"
    return {"id": id, "name": name, "type": kind, "linkIds": [link], "pos": [0, 0]}


def test_across_the_border_of_a_subgraph(page: ComfyPage, comfy: ComfyServer, clip: str) -> None:
    """Loaders outside, the sampler inside; the input that nothing of ours takes is gone."""
    inner = sampler(11)
    for slot, link in enumerate((21, 22, 23)):
        inner["inputs"][slot]["link"] = link
    inner["outputs"][0]["links"] = [24]
    definition = subgraph(
        [inner],
        [
            [21, -10, 0, 11, 0, "MMAUDIO_MODEL"],
            [22, -10, 1, 11, 1, "MMAUDIO_FEATUREUTILS"],
            [23, -10, 2, 11, 2, "IMAGE"],
            [24, 11, 0, -20, 0, "AUDIO"],
        ],
        inputs=[
            border("mmaudio_model", "MMAUDIO_MODEL", 21),
            border("feature_utils", "MMAUDIO_FEATUREUTILS", 22),
            border("images", "IMAGE", 23),
        ],
        outputs=[border("audio", "AUDIO", 24)],
    )
    outer = saved_node(
        12,
        definition["id"],
        (900, 0),
        (300, 100),
        inputs=[
            ("mmaudio_model", "MMAUDIO_MODEL"),
            ("feature_utils", "MMAUDIO_FEATUREUTILS"),
            ("images", "IMAGE"),
        ],
        outputs=[("audio", "AUDIO")],
        title="Foley",
    )
    outer["properties"] = {"proxyWidgets": [["11", "prompt"], ["11", "cfg"]]}
    save = saved_node(
        9,
        "SaveAudio",
        (1400, 300),
        (260, 110),
        inputs=[("audio", "AUDIO")],
        values=[f"inner-{page.renderer}/audio"],
    )
    theirs = graph(
        [
            model_loader(),
            vocoder_loader(),
            utils_loader(),
            outer,
            load_video(clip),
            video_parts(),
            save,
        ],
        [
            (1, 1, 0, 12, 0, "MMAUDIO_MODEL"),
            (2, 2, 0, 3, 0, "VOCODER_MODEL"),
            (3, 3, 0, 12, 1, "MMAUDIO_FEATUREUTILS"),
            (4, 5, 0, 6, 0, "VIDEO"),
            (5, 6, 0, 12, 2, "IMAGE"),
            (6, 12, 0, 9, 0, "AUDIO"),
        ],
        definitions={"subgraphs": [definition]},
    )
    page.open_graph(theirs)
    (told,) = toasts(page)
    assert SAYS["done"] in told and SAYS["rate"] in told
    opened = page.graph()
    (outer,) = (one for one in opened["nodes"] if one["id"] == 12)
    linked = [one for one in outer["inputs"] if "widget" not in one]
    assert [(one["name"], one["type"]) for one in linked] == [
        ("mmaudio_model", "MMAUDIO"),
        ("images", "IMAGE"),
    ]
    shown = page.page.evaluate(
        "() => window.app.graph.getNodeById(12).widgets.map(({name, value}) => [name, value])"
    )
    assert shown == [["prompt", "rain"], ["cfg", CFG]]
    (inner,) = (one for one in opened["definitions"]["subgraphs"][0]["nodes"] if one["id"] != 11)
    page.enter("12")
    assert page.node_text(str(inner["id"])) == SAYS["rate"]
    page.leave()
    before = set(comfy.output.glob(f"inner-{page.renderer}/*"))
    assert page.run() == "success", page.messages()
    (sound,) = set(comfy.output.glob(f"inner-{page.renderer}/*")) - before
    heard = our_prompt(clip)
    heard["extract"]["inputs"]["frame_rate"] = 25.0
    assert np.array_equal(read_audio(sound)[0], generate(comfy, heard)[0])
    assert page.prompt()[f"12:{inner['id']}"]["class_type"] == "MMAudioFeatureExtract"


def test_modes_native_reroutes_and_apps(page: ComfyPage, clip: str) -> None:
    """What is bypassed or muted stays so; points on links stay, with both links of a model.

    What an App shows is shown where it is now.
    """
    theirs = workflow(clip)
    for one in theirs["nodes"]:
        if one["type"] in ("MMAudioSampler", "MMAudioModelLoader"):
            one["mode"] = 4 if one["type"] == "MMAudioSampler" else 2
    theirs["extra"] = {
        "reroutes": [
            {"id": 1, "pos": [700, 100], "linkIds": [2]},
            {"id": 2, "pos": [500, 250], "linkIds": [4]},
        ],
        "linkExtensions": [{"id": 2, "parentId": 1}, {"id": 4, "parentId": 2}],
        "linearData": {
            "inputs": [["1", "mmaudio_model"], ["4", "prompt"], ["4", "force_offload"]],
            "outputs": ["8"],
        },
    }
    page.open_graph(theirs)
    toasts(page)
    opened = page.graph()
    found = nodes(opened)
    modes = {kind: found[kind]["mode"] for kind in OURS - {"MuxAudioVideo"}}
    assert modes == {"LoadMMAudioModel": 2, "MMAudioFeatureExtract": 4, "MMAudioSampler": 4}
    (point,) = opened["extra"]["reroutes"]
    assert point["id"] == 1 and len(point["linkIds"]) == 2
    extract = str(found["MMAudioFeatureExtract"]["id"])
    shown = opened["extra"]["linearData"]["inputs"]
    assert [one[:2] for one in shown] == [["1", "model"], [extract, "prompt"]]


def test_set_and_get_nodes(page: ComfyPage) -> None:
    """KJNodes' links by name carry models, too."""

    def link_node(id: int, kind: str, name: str, type: str) -> dict[str, Any]:
        one = saved_node(id, kind, (300, 60 * id), (200, 60), values=[name])
        one["inputs"] = [{"name": type, "type": type, "link": None}] if kind == "SetNode" else []
        output = type if kind == "GetNode" else "*"
        one["outputs"] = [{"name": output, "type": output, "links": []}]
        return one

    theirs = graph(
        [
            model_loader(),
            utils_loader(),
            sampler(),
            link_node(11, "SetNode", "M", "MMAUDIO_MODEL"),
            link_node(12, "GetNode", "M", "MMAUDIO_MODEL"),
            link_node(13, "SetNode", "F", "MMAUDIO_FEATUREUTILS"),
            link_node(14, "GetNode", "F", "MMAUDIO_FEATUREUTILS"),
        ],
        [
            (1, 1, 0, 11, 0, "MMAUDIO_MODEL"),
            (2, 12, 0, 4, 0, "MMAUDIO_MODEL"),
            (3, 3, 0, 13, 0, "MMAUDIO_FEATUREUTILS"),
            (4, 14, 0, 4, 1, "MMAUDIO_FEATUREUTILS"),
        ],
    )
    page.open_graph(theirs)
    toasts(page)
    opened = page.graph()
    left = {one["id"]: one for one in opened["nodes"]}
    assert {11, 12} <= set(left) and not {3, 13, 14} & set(left)
    assert left[12]["outputs"][0]["type"] == "MMAUDIO"
    assert sorted(one[1] for one in opened["links"] if one[5] == "MMAUDIO") == [1, 12, 12]
    assert left[1]["widgets_values"][3:] == [
        FILES["vae"],
        "auto",
        FILES["clip"],
        FILES["synchformer"],
    ]
