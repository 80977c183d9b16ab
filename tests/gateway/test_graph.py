"""The prompt that a job becomes, and ComfyUI's own description of its nodes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pack import load_pack_module

from .conftest import Served

graph = load_pack_module("gateway.graph")
jobs = load_pack_module("gateway.job")
Output = jobs.Output


def spec(**changes: Any) -> Any:
    return jobs.JobSpec(service="fal", model="m", **changes)


def made(video: str | None = "v.mp4", **changes: Any) -> dict[str, dict[str, Any]]:
    return graph.graph_of(spec(**changes), "id", "large_44k_v2", video)


def test_prompt_is_made_from_the_video_if_there_is_none() -> None:
    for prompt in ("", " \n"):
        built = made(auto_prompt=True, prompt=prompt, duration=3.0, start_offset=1.5)
        assert built["features"]["inputs"]["prompt"] == ["prompt", 0]
        inputs = built["prompt"]["inputs"]
        assert (inputs["kind"], inputs["duration"], inputs["start_offset"]) == ("music", 3.0, 1.5)
        assert inputs["video"] == built["features"]["inputs"]["video"]


@pytest.mark.parametrize(
    ("video", "changes"),
    [
        ("v.mp4", {"auto_prompt": True, "prompt": "a waltz"}),
        ("v.mp4", {"auto_prompt": False, "prompt": ""}),
        (None, {"auto_prompt": True, "prompt": ""}),
    ],
)
def test_prompt_is_what_the_client_sent(video: str | None, changes: dict[str, Any]) -> None:
    built = made(video, **changes)
    assert built["features"]["inputs"]["prompt"] == changes["prompt"]
    assert "prompt" not in built


@pytest.mark.parametrize(
    ("video", "changes"),
    [
        ("v.mp4", {}),
        ("v.mp4", {"auto_prompt": True, "outputs": (Output.M4A,), "duration": None}),
        (None, {"outputs": (Output.VIDEO, Output.FLAC)}),
    ],
    ids=["video", "music", "text"],
)
def test_nodes_have_the_inputs_that_they_describe(
    served: Served, video: str | None, changes: dict[str, Any]
) -> None:
    for node in made(video, **changes).values():
        described = served.server.client.object_info(node["class_type"])[node["class_type"]]
        required = described["input"].get("required", {})
        optional = described["input"].get("optional", {})
        assert set(required) <= set(node["inputs"]), node["class_type"]
        assert set(node["inputs"]) <= {*required, *optional}, node["class_type"]
