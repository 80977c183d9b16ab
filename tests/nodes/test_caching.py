"""What runs again when an input changes, according to ComfyUI's events and the log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.server import ComfyServer
from tests.nodes.graphs import Graph, Inputs, executed, muxed, run, sound

CLIP_FRAMES, PROMPTS = "CLIP frames", "encoded 2 prompts"


def graph(clip: str, *, extract: Inputs = {}, sample: Inputs = {}, take: int = 0) -> Graph:  # noqa: B006
    """Two takes for a video, one of them muxed."""
    made = sound(
        video=clip,
        extract={"duration": 1.0} | dict(extract),
        sample={"num_samples": 2} | dict(sample),
    )
    return muxed(made, video=["video", 0], take=take)


class Counted:
    """The nodes that a run executed, and how often it called the encoders."""

    def __init__(self, server: ComfyServer, graph: Graph) -> None:
        before = server.log_text()
        self.nodes = {node.split(".")[0] for node in executed(run(server, graph))}
        logged = server.log_text()[len(before) :]
        self.videos, self.prompts = logged.count(CLIP_FRAMES), logged.count(PROMPTS)


@pytest.fixture
def clip_graph(comfy: ComfyServer, clip: str) -> Iterator[str]:
    """The clip, after a first run of its graph has encoded everything."""
    comfy.client.free()
    first = Counted(comfy, graph(clip))
    assert (first.videos, first.prompts) == (1, 1)
    assert first.nodes == {"load", "video", "extract", "sample", "mux"}
    yield clip


def test_seed_and_steps_run_sampling_and_what_follows(comfy: ComfyServer, clip_graph: str) -> None:
    for change in ({"seed": 5}, {"seed": 5, "steps": 2}):
        again = Counted(comfy, graph(clip_graph, sample=change))
        assert again.nodes == {"sample", "mux"}
        assert (again.videos, again.prompts) == (0, 0)


def test_another_prompt_does_not_encode_the_video_again(
    comfy: ComfyServer, clip_graph: str
) -> None:
    again = Counted(comfy, graph(clip_graph, extract={"prompt": "thunder"}))
    assert again.nodes == {"extract", "sample", "mux"}
    assert (again.videos, again.prompts) == (0, 1)


def test_another_start_does_not_encode_the_prompts_again(
    comfy: ComfyServer, clip_graph: str
) -> None:
    again = Counted(comfy, graph(clip_graph, extract={"start_offset": 0.5}))
    assert again.nodes == {"extract", "sample", "mux"}
    assert (again.videos, again.prompts) == (1, 0)


def test_another_take_is_only_muxed(comfy: ComfyServer, clip_graph: str) -> None:
    again = Counted(comfy, graph(clip_graph, take=1))
    assert again.nodes == {"mux"}
    assert (again.videos, again.prompts) == (0, 0)
