"""The demo's prompt and its default video."""

from __future__ import annotations

import av

from dev.demo import api_prompt, sample_video


def test_the_options_reach_the_workflow() -> None:
    graph = api_prompt(
        "clip.mp4", model="small_16k", prompt="rain", download=True, prefix="clip_mmaudio"
    )
    inputs = {node["class_type"]: node["inputs"] for node in graph.values()}
    assert inputs["LoadVideo"]["file"] == "clip.mp4"
    assert inputs["LoadMMAudioModel"]["model"] == "small_16k"
    assert inputs["LoadMMAudioModel"]["download_missing"] is True
    assert inputs["MMAudioFeatureExtract"]["prompt"] == "rain"
    assert inputs["MMAudioFeatureExtract"]["duration"] == 0
    assert inputs["MuxAudioVideo"]["filename_prefix"] == "clip_mmaudio"


def test_the_sample_is_a_silent_video() -> None:
    with av.open(str(sample_video())) as container:
        assert container.streams.video
        assert not container.streams.audio
