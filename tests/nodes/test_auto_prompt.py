"""MMAudioAutoPrompt in a real ComfyUI: what runs, what is encoded, and whose labels are used.

On synthetic weights, so which labels are chosen means nothing: tests/core tests that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.server import ComfyServer
from tests.core.made_videos import steady, write_video
from tests.nodes.counting import free_memory, work
from tests.nodes.graphs import Graph, executed, failure, node, notices, run, sound

DEFAULTS = {
    "mmaudio": ["load", 0],
    "kind": "sounds",
    "top_k": 3,
    "threshold": 0.0,
    "template": "{labels}",
    "duration": 1.0,
    "start_offset": 0.0,
    "video": ["video", 0],
}


def described(clip: str, **inputs: Any) -> Graph:
    """Nodes ``describe``, and ``prompt`` and ``labels`` that show its outputs."""
    load = sound()["load"]
    given = {name: value for name, value in (DEFAULTS | inputs).items() if value is not None}
    return {
        "load": load,
        "video": node("LoadVideo", file=clip),
        "describe": node("MMAudioAutoPrompt", **given),
        "prompt": node("PreviewAny", source=["describe", 0]),
        "labels": node("PreviewAny", source=["describe", 1]),
    }


def told(server: ComfyServer, graph: Graph) -> tuple[str, dict[str, float]]:
    """The prompt, and the scores of the labels."""
    outputs = run(server, graph).outputs
    (prompt,), (labels,) = outputs["prompt"]["text"], outputs["labels"]["text"]
    pairs = (line.rsplit(": ", 1) for line in labels.splitlines())
    return prompt, {said: float(score) for said, score in pairs}


@pytest.fixture
def own_labels(comfy: ComfyServer) -> Iterator[Path]:
    """A user's file, which is not there yet."""
    path = comfy.models / "mmaudio" / "labels.txt"
    yield path
    path.unlink(missing_ok=True)


def test_frames_are_encoded_once_for_both_nodes(comfy: ComfyServer, clip: str) -> None:
    """The prompt goes into Feature Extract."""
    alone = sound(video=clip, extract={"duration": 1.0})
    both = described(clip) | sound(video=clip, extract={"duration": 1.0, "prompt": ["describe", 0]})
    free_memory(comfy)
    done = work(comfy, both | {"out": node("PreviewAny", source=["extract", 0])})
    assert done.encoded == (8, 2, 2) and done.labels > 300
    free_memory(comfy)
    first = work(comfy, alone | {"out": node("PreviewAny", source=["extract", 0])})
    assert first.encoded == (8, 2, 2)
    second = work(comfy, described(clip))
    assert second.encoded == (0, 0, 0) and second.labels > 300
    other = work(comfy, described(clip, template="{pace}", start_offset=0.5))
    assert other.encoded == (4, 0, 0) and other.labels == 0


def test_what_comes_out(comfy: ComfyServer, clip: str) -> None:
    prompt, labels = told(comfy, described(clip))
    assert prompt == ", ".join(labels) and len(labels) == 3
    scores = list(labels.values())
    assert scores == sorted(scores, reverse=True) and 0 < sum(scores) <= 1
    wide, _ = told(comfy, described(clip, top_k=1, template="a {labels}. {pace}!"))
    assert wide == f"a {next(iter(labels))}. fast, no cuts!"
    assert told(comfy, described(clip, kind="music"))[1].keys().isdisjoint(labels)


def test_no_label_reaches_the_threshold(comfy: ComfyServer, clip: str) -> None:
    result = run(comfy, described(clip, threshold=1.0))
    assert result.outputs["prompt"]["text"] == [""]
    assert notices(result)["describe"].startswith("no label reaches the threshold of 1; the best")
    assert len(result.outputs["labels"]["text"][0].splitlines()) == 3


def test_a_user_s_labels_and_their_changes(comfy: ComfyServer, clip: str, own_labels: Path) -> None:
    graph = described(clip)
    pack_s = told(comfy, graph)
    assert "describe" not in executed(run(comfy, graph))
    for said in ("cows", "bells"):
        own_labels.write_text(f"[all] {{}}\nthings: {said}\n", encoding="utf-8")
        assert told(comfy, graph) == (said, {said: 1.0})
    own_labels.write_text("[all] {}\nthings: bells\nno colon:\n", encoding="utf-8")
    message = failure(comfy, graph)
    assert f'{own_labels}, line 3: got "no colon:", expected "seen: said"' in message
    assert "or remove your labels.txt from models/mmaudio" in message
    own_labels.unlink()
    assert told(comfy, graph) == pack_s


def test_every_video_of_a_list_is_described(comfy: ComfyServer) -> None:
    if "CreateList" not in comfy.client.object_info():
        pytest.skip("this ComfyUI has no Create List")
    graph = described("a.mp4", template="{pace}")
    for name, rate in (("a", 25), ("b", 10)):
        write_video(comfy.input / f"described_{name}.mp4", steady(2 * rate, rate))
    graph["video"] = node("LoadVideo", file="described_a.mp4")
    graph["other"] = node("LoadVideo", file="described_b.mp4")
    graph["list"] = node(
        "CreateList", **{"inputs.input0": ["video", 0], "inputs.input1": ["other", 0]}
    )
    graph["describe"]["inputs"]["video"] = ["list", 0]
    outputs = run(comfy, graph).outputs
    singles = []
    for source in ("video", "other"):
        graph["describe"]["inputs"]["video"] = [source, 0]
        singles.append(run(comfy, graph).outputs["labels"]["text"][0])
    assert outputs["labels"]["text"] == singles


def test_images_and_a_still_one(comfy: ComfyServer, clip: str) -> None:
    """Frames of a video as images are the video; a single image does not move."""
    parts = {
        "parts": node("GetVideoComponents", video=["video", 0]),
        "still": node("EmptyImage", width=64, height=64, batch_size=1, color=255),
    }
    as_video = told(comfy, described(clip))
    frames = described(clip, video=None, images=["parts", 0], frame_rate=25.0) | parts
    assert told(comfy, frames) == as_video
    still = described(clip, video=None, images=["still", 0], template="{pace}") | parts
    assert told(comfy, still)[0] == "still, no cuts"


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"video": None}, "neither video nor images are connected"),
        ({"images": ["still", 0]}, "both video and images are connected"),
        ({"start_offset": 9.0}, "Lower start_offset"),
        ({"top_k": 0}, "top_k"),
    ],
)
def test_what_cannot_be_described(
    comfy: ComfyServer, clip: str, inputs: dict[str, Any], words: str
) -> None:
    still = node("EmptyImage", width=64, height=64, batch_size=1, color=255)
    assert words in failure(comfy, described(clip, **inputs) | {"still": still})
