"""The subgraph blueprint "Sound for video", checked against a running ComfyUI and run in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dev.server import ComfyServer
from tests.core.made_videos import steady, write_video
from tests.nodes.graphs import node, paths, read_audio, run

from .schema import overlaps, prompt_faults, template_faults, to_prompt

PATH = Path(__file__).parents[2] / "subgraphs" / "Sound for video.json"
BLUEPRINT: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
((OUTER,), (SUBGRAPH,)) = BLUEPRINT["nodes"], BLUEPRINT["definitions"]["subgraphs"]
INPUT, OUTPUT = -10, -20  # ids of the subgraph's own two ends
LINK = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
Json = dict[str, Any]


@pytest.fixture(scope="module")
def info(comfy: ComfyServer) -> Json:
    return comfy.client.object_info()


def links(*ends: int) -> list[list[Any]]:
    """The subgraph's links as a saved graph has them, without those from or to ``ends``."""
    return [
        [link[key] for key in LINK]
        for link in SUBGRAPH["links"]
        if not {link["origin_id"], link["target_id"]} & set(ends)
    ]


def prompt(info: Json) -> Json:
    """The API prompt that the page makes: its node, behind a node ``video``, with its widgets."""
    names = [i["name"] for i in OUTER["inputs"] if "widget" in i]
    given: Json = dict(zip(names, OUTER["widgets_values"], strict=True)) | {"video": ["video", 0]}
    made = to_prompt({"nodes": SUBGRAPH["nodes"], "links": links(OUTPUT)}, info)
    for entry in made.values():
        for name, value in entry["inputs"].items():
            if isinstance(value, list) and value[0] == str(INPUT):
                entry["inputs"][name] = given[SUBGRAPH["inputs"][value[1]]["name"]]
    return made | {"video": node("LoadVideo", file="blueprint.mp4")}


def test_comfyui_serves_it_once(comfy: ComfyServer) -> None:
    ours = [one for one in comfy.client.blueprints() if one["name"] == PATH.stem]
    assert len(ours) == 1
    assert ours[0]["source"] == "custom_node"


def test_what_it_asks_for_and_gives() -> None:
    """What a node behind a video generator is expected to ask for, and the weights."""
    assert [(i["name"], i["type"]) for i in SUBGRAPH["inputs"]] == [
        ("video", "VIDEO"),
        ("prompt", "STRING"),
        ("negative_prompt", "STRING"),
        ("seed", "INT"),
        ("model", "COMBO"),
        ("download_missing", "BOOLEAN"),
    ]
    assert [i["name"] for i in OUTER["inputs"]] == [i["name"] for i in SUBGRAPH["inputs"]]
    assert [(o["name"], o["type"]) for o in SUBGRAPH["outputs"]] == [("video", "VIDEO")]
    assert OUTER["type"] == SUBGRAPH["id"]
    assert SUBGRAPH["name"] == PATH.stem


def test_its_graph(info: Json) -> None:
    inside = {link[0] for link in links(INPUT, OUTPUT)}
    inner = [dict(entry, inputs=[dict(i) for i in entry["inputs"]]) for entry in SUBGRAPH["nodes"]]
    for entry in inner:
        for slot in entry["inputs"]:
            slot["link"] = slot["link"] if slot["link"] in inside else None
    graph = {"nodes": inner, "links": links(INPUT, OUTPUT)}
    assert not template_faults(graph, info)
    assert not overlaps(graph)
    assert not prompt_faults(prompt(info), info)


def test_it_runs(comfy: ComfyServer, info: Json) -> None:
    write_video(comfy.input / "blueprint.mp4", steady(25, 25))
    graph = prompt(info)
    for entry in graph.values():
        if entry["class_type"] == "MMAudioSampler":
            entry["inputs"]["steps"] = 1
    (path,) = paths(comfy, run(comfy, graph))
    # an encoder rounds up to whole frames of 1024
    assert 44_100 <= read_audio(path).shape[1] <= 44_100 + 2 * 1024
