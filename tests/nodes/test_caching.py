"""What runs again, and what is encoded again, when an input changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from dev.server import ComfyServer
from tests.core.made_videos import steady, write_video
from tests.nodes.counting import free_memory, work
from tests.nodes.graphs import Graph, Inputs, muxed, node, sound

# One second: 8 frames for CLIP, and segments of 16 of 25 frames that start every 8 frames.
FRAMES, SEGMENTS = 8, 2


def graph(clip: str, *, extract: Inputs = {}, sample: Inputs = {}, take: int = 0) -> Graph:  # noqa: B006
    """Two takes for a video, one of them muxed."""
    made = sound(
        video=clip,
        extract={"duration": 1.0} | dict(extract),
        sample={"num_samples": 2} | dict(sample),
    )
    return muxed(made, video=["video", 0], take=take)


@pytest.fixture
def clip_graph(comfy: ComfyServer, clip: str) -> Iterator[str]:
    """The clip, after a first run of its graph has encoded everything."""
    free_memory(comfy)
    first = work(comfy, graph(clip))
    assert first.encoded == (FRAMES, SEGMENTS, 2)
    assert set(first.runs) == {"load", "video", "extract", "sample", "mux"}
    yield clip


def test_seed_and_steps_run_sampling_and_what_follows(comfy: ComfyServer, clip_graph: str) -> None:
    for change in ({"seed": 5}, {"seed": 5, "steps": 2}):
        again = work(comfy, graph(clip_graph, sample=change))
        assert set(again.runs) == {"sample", "mux"}
        assert again.encoded == (0, 0, 0)


def test_another_take_is_only_muxed(comfy: ComfyServer, clip_graph: str) -> None:
    again = work(comfy, graph(clip_graph, take=1))
    assert set(again.runs) == {"mux"}
    assert again.encoded == (0, 0, 0)


def test_another_prompt_encodes_no_frame(comfy: ComfyServer, clip_graph: str) -> None:
    again = work(comfy, graph(clip_graph, extract={"prompt": "thunder"}))
    assert set(again.runs) == {"extract", "sample", "mux"}
    assert again.encoded == (0, 0, 1)
    and_back = work(comfy, graph(clip_graph, extract={"prompt": "rain", "negative_prompt": "rain"}))
    assert and_back.encoded == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "frames", "segments"),
    [
        ({"start_offset": 0.5}, 4, SEGMENTS),  # 12.5 frames on: no segment starts there yet
        ({"start_offset": 0.32}, FRAMES, 1),  # 8 frames on, but 2.56 frames of CLIP
        ({"duration": 1.5}, 4, 1),
        ({"duration": 0.75}, 0, 0),
        ({"mask_away_clip": True}, 0, 0),
        ({"mask_away_clip": True, "start_offset": 0.5}, 0, SEGMENTS),
    ],
)
def test_another_part_of_the_video_encodes_what_is_new(
    comfy: ComfyServer, clip_graph: str, change: Inputs, frames: int, segments: int
) -> None:
    again = work(comfy, graph(clip_graph, extract=change))
    assert set(again.runs) == {"extract", "sample", "mux"}
    assert again.encoded == (frames, segments, 0)


def test_the_same_frames_from_elsewhere_are_not_encoded(
    comfy: ComfyServer, clip_graph: str
) -> None:
    """From a copy of the file, and as images."""
    shutil.copy(comfy.input / clip_graph, comfy.input / "copy.mp4")
    copied = work(comfy, graph("copy.mp4"))
    assert set(copied.runs) == {"video", "extract", "sample", "mux"}
    assert copied.encoded == (0, 0, 0)

    as_images = graph(clip_graph, extract={"images": ["parts", 0], "frame_rate": 25.0})
    del as_images["extract"]["inputs"]["video"]
    as_images["parts"] = node("GetVideoComponents", video=["video", 0])
    assert work(comfy, as_images).encoded == (0, 0, 0)


def test_repeated_frames_are_encoded_once(comfy: ComfyServer) -> None:
    """Two identical images: every frame and every segment is the same."""
    frozen = sound(extract={"images": ["images", 0], "duration": 1.0, "frame_rate": 2.0}) | {
        "image": node("EmptyImage", width=64, height=64, batch_size=2, color=0x20C020),
        "images": node("RepeatImageBatch", image=["image", 0], amount=2),
    }
    free_memory(comfy)
    done = work(comfy, muxed(frozen, images=["images", 0]))
    assert done.encoded == (1, 1, 2)


@pytest.mark.newest
def test_a_minute_of_video(comfy: ComfyServer) -> None:
    """60 s of 64, at 8 frames per second of which no two are equal."""
    write_video(comfy.input / "minute.mp4", steady(512, 8), size=(64, 64))
    free_memory(comfy)

    def encoded(**extract: Any) -> tuple[int, int, int]:
        made = sound(video="minute.mp4", extract={"duration": 60.0} | extract)
        del made["sample"]
        return work(comfy, made | {"out": node("PreviewAny", source=["extract", 0])}).encoded

    assert encoded() == (480, 186, 2)
    assert encoded(prompt="thunder") == (0, 0, 1)
    # 16 frames on for CLIP; 50 for Synchformer, whose segments start every 8 frames
    assert encoded(start_offset=2.0) == (16, 186, 0)
    # 4.48 and 14 frames on: 20 whole frames from the start
    assert encoded(start_offset=2.56) == (4, 8, 0)


def test_a_file_that_was_replaced_is_looked_at(comfy: ComfyServer) -> None:
    path = comfy.input / "replaced.mp4"
    write_video(path, steady(25, 25))
    work(comfy, graph(path.name))
    write_video(path, steady(25, 25), size=(128, 64))
    again = work(comfy, graph(path.name))
    assert again.frames and again.segments


def test_unloading_models_keeps_features_and_freeing_memory_drops_them(
    comfy: ComfyServer, clip_graph: str
) -> None:
    flags = {"unload_models": True, "free_memory": False}
    requests.post(f"{comfy.url}/free", json=flags, timeout=60).raise_for_status()
    kept = work(comfy, graph(clip_graph, extract={"prompt": "thunder"}))
    assert kept.encoded == (0, 0, 1)
    free_memory(comfy)
    dropped = work(comfy, graph(clip_graph, extract={"prompt": "thunder"}))
    assert dropped.encoded == (FRAMES, SEGMENTS, 2)
    assert set(dropped.runs) == {"load", "video", "extract", "sample", "mux"}
