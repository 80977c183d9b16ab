"""What the page learns from the nodes: errors, notices, refusals, folded inputs, search words."""

from __future__ import annotations

from typing import Any

import pytest

from dev.client import PromptRejectedError
from dev.server import ComfyServer
from tests.nodes.graphs import (
    Graph,
    executed,
    files,
    muxed,
    node,
    notices,
    paths,
    run,
    saved,
    sound,
)

IMAGE = node("EmptyImage", width=64, height=48, batch_size=1, color=0)
MASK = node("SolidMask", value=1.0, width=64, height=64)


# --- errors


def test_an_error_has_words_and_a_short_name(comfy: ComfyServer, clip: str) -> None:
    result = comfy.client.run(saved(sound(video=clip, extract={"start_offset": 2.5})))
    assert result.status == "error" and result.error is not None
    assert result.error["exception_type"] == "MMAudioNodeError"  # no path of the pack
    assert any("media" in line for line in result.error["traceback"])  # where it came from
    assert result.error["node_id"] == "extract"
    assert "start of 2.5 s" in result.message and "Lower start_offset" in result.message


# --- what the links show


def refusals(comfy: ComfyServer, graph: Graph) -> list[dict[str, Any]]:
    """The errors that ``graph`` is refused with before anything runs."""
    before = files(comfy)
    with pytest.raises(PromptRejectedError) as caught:
        comfy.client.submit(graph)
    assert files(comfy) == before
    return [error for found in caught.value.node_errors.values() for error in found["errors"]]


@pytest.mark.parametrize(
    ("extract", "others", "words"),
    [
        (
            {"video": ["video", 0], "images": ["image", 0]},
            {"image": IMAGE},
            ("both video and images", "Disconnect one"),
        ),
        ({"mask": ["mask", 0]}, {"mask": MASK}, ("mask is connected", "no picture")),
        ({"duration": 0.0}, {}, ("duration of 0", "without a video", "Set duration")),
        ({"duration": -1.0}, {}, ("duration", "-1", "0 to 600")),
        ({"duration": 700.0}, {}, ("duration", "700", "0 to 600")),
        ({"start_offset": 700.0}, {}, ("start_offset", "600")),
        ({"images": ["load", 0]}, {}, ("images", "MMAUDIO", "IMAGE")),
        ({"video": ["image", 0]}, {"image": IMAGE}, ("video", "IMAGE", "VIDEO")),
    ],
)
def test_feature_extract_is_refused(
    comfy: ComfyServer,
    clip: str,
    extract: dict[str, Any],
    others: Graph,
    words: tuple[str, ...],
) -> None:
    linked = "images" in extract and "video" in extract
    graph = saved(sound(video=clip if linked else None, extract=extract, **others))
    (error,) = refusals(comfy, graph)
    told = error["message"] + error["details"]
    assert all(word in told for word in words), told


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, ("neither video nor images", "Connect one")),
        ({"video": ["video", 0], "images": ["image", 0]}, ("both video and images",)),
        ({"video": ["video", 0], "fade_in": 700.0}, ("fade_in", "600")),
        ({"video": ["video", 0], "container": "avi"}, ("container", "avi")),
        ({"video": ["image", 0]}, ("video", "IMAGE", "VIDEO")),
    ],
)
def test_mux_is_refused(
    comfy: ComfyServer, clip: str, inputs: dict[str, Any], words: tuple[str, ...]
) -> None:
    graph = muxed(sound(image=IMAGE, video=clip), **inputs)
    (error,) = refusals(comfy, graph)
    told = error["message"] + error["details"]
    assert all(word in told for word in words), told


def test_a_linked_duration_is_checked_when_it_runs(comfy: ComfyServer) -> None:
    zero = node("PrimitiveFloat", value=0.0)
    result = comfy.client.run(saved(sound(extract={"duration": ["zero", 0]}, zero=zero)))
    assert result.status == "error"
    assert "a duration of 0" in result.message


# --- notices


def test_notices_are_output(comfy: ComfyServer, clip: str) -> None:
    def graph(duration: float, seed: int) -> Graph:
        return saved(
            sound(
                video=clip, extract={"duration": duration, "prompt": "page"}, sample={"seed": seed}
            )
        )

    result = run(comfy, graph(9.0, 1))
    (notice,) = result.outputs["extract"]["text"]
    assert "2.00 s long" in notice

    again = run(comfy, graph(9.0, 2))  # with the features from the cache
    assert "extract" not in executed(again)
    if later(comfy):
        assert again.outputs["extract"]["text"] == [notice]
        sent = [event.data for event in again.events if event.kind == "executed"]
        (told,) = [data["output"] for data in sent if data["node"] == "extract"]
        assert told["text"] == [notice]

    gone = run(comfy, graph(1.5, 2))
    assert gone.outputs["extract"]["text"] == []  # the page removes the text


def test_notices_of_a_list_are_one_output(comfy: ComfyServer) -> None:
    """One second and 0.8 seconds of images."""
    images = node("EmptyImage", width=64, height=64, batch_size=45, color=0)
    halves = node("RebatchImages", images=["images", 0], batch_size=25)
    extract = {"images": ["halves", 0], "duration": 3.0}
    result = run(comfy, saved(sound(extract=extract, images=images, halves=halves)))
    first, second = result.outputs["extract"]["text"]
    assert "1.00 s long" in first and "0.80 s long" in second


def test_the_video_stays_in_the_output_beside_notices(comfy: ComfyServer, clip: str) -> None:
    graph = sound(video=clip, extract={"duration": 1.5})
    result = run(comfy, muxed(graph, video=["video", 0], start_offset=1.0))
    output = result.outputs["mux"]
    assert [item["filename"] for item in output["images"]] == [paths(comfy, result)[0].name]
    assert "cut at its end" in output["text"][0] and output["animated"] == [True]


# --- file names


def test_tokens_in_file_names(comfy: ComfyServer, clip: str) -> None:
    graph = sound(video=clip, extract={"duration": 1.0})
    graph["sample"] |= {"_meta": {"title": "My sampler"}}
    prefix = "test/%width%x%height%_%My sampler.seed%_%MMAudioFeatureExtract.prompt%_%Gone.x%"
    result = run(comfy, muxed(graph, video=["video", 0], filename_prefix=prefix))
    (path,) = paths(comfy, result)
    assert path.name.startswith("96x96_1_rain_%Gone.x%_0")
    assert "%Gone.x% stays as it is" in notices(result)["mux"]


# --- the schema


def later(comfy: ComfyServer) -> bool:
    """Whether this is a version with search aliases and intermediate outputs."""
    return "search_aliases" in comfy.client.object_info("KSampler")["KSampler"]


def test_folded_inputs(comfy: ComfyServer) -> None:
    info = comfy.client.object_info()

    def plain(name: str) -> list[str]:
        groups = info[name]["input"]
        described = {**groups["required"], **groups.get("optional", {})}
        widgets = {key: spec[1] for key, spec in described.items() if "default" in spec[1]}
        return [key for key, options in widgets.items() if not options.get("advanced")]

    assert plain("MuxAudioVideo") == ["filename_prefix", "frame_rate", "start_offset", "take"]
    assert plain("LoadMMAudioModel") == ["model", "precision", "download_missing"]
    chosen = ["seed", "steps", "cfg", "num_samples", "best_of", "no_voice"]
    assert plain("MMAudioSampler") == chosen


@pytest.mark.parametrize("script", ["advanced_inputs", "node_texts"])
def test_the_page_loads_our_scripts(comfy: ComfyServer, script: str) -> None:
    assert any(path.endswith(f"/js/{script}.js") for path in comfy.client.extensions())


def test_search_words(comfy: ComfyServer) -> None:
    if not later(comfy):
        return
    info = comfy.client.object_info()
    for words, first in (
        ("foley", "MMAudioFeatureExtract"),
        ("sfx", "MMAudioFeatureExtract"),
        ("sound effects", "MMAudioFeatureExtract"),
        ("video to audio", "MMAudioFeatureExtract"),
        ("add audio to video", "MuxAudioVideo"),
    ):
        assert words in info[first]["search_aliases"]
