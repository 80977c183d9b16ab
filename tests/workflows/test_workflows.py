"""The shipped workflows, checked against a running ComfyUI and run in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dev.server import ALIAS, ComfyServer
from mmaudio_core.checkpoint.published import DEFAULT_VARIANT, files_for
from tests.core.made_videos import steady, write_video
from tests.nodes.graphs import paths, read_audio, run

from .schema import overlaps, prompt_faults, template_faults, to_prompt

FOLDER = Path(__file__).parents[2] / "workflows"
NAMES = ("video_to_audio", "text_to_audio", "images_to_audio")
Json = dict[str, Any]


def read(name: str) -> Json:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def info(comfy: ComfyServer) -> Json:
    return comfy.client.object_info()


@pytest.fixture(scope="session")
def video(comfy: ComfyServer) -> str:
    """A silent second."""
    write_video(comfy.input / "workflow.mp4", steady(25, 25))
    return "workflow.mp4"


def as_tested(prompt: Json, video: str) -> Json:
    """The prompt with an existing file and less work."""
    changes: dict[str, Json] = {
        "LoadVideo": {"file": video},
        "MMAudioFeatureExtract": {"duration": 0.7},
        "MMAudioSampler": {"steps": 1},
    }
    for node in prompt.values():
        node["inputs"].update(changes.get(node["class_type"], {}))
    return prompt


def check_run(comfy: ComfyServer, prompt: Json) -> None:
    """It writes one file with the expected amount of sound."""
    (path,) = paths(comfy, run(comfy, prompt))
    sound = read_audio(path)
    # an encoder rounds up to whole frames of 1024
    assert round(0.7 * 44_100) <= sound.shape[1] <= round(0.7 * 44_100) + 2 * 1024


def test_every_workflow_has_a_template_a_prompt_and_a_thumbnail() -> None:
    for files in ("*.json", "api/*.json", "*.jpg"):
        assert sorted(path.stem for path in FOLDER.glob(files)) == sorted(NAMES), files


@pytest.mark.parametrize("name", NAMES)
def test_template(name: str, info: Json) -> None:
    template = read(f"{name}.json")
    assert not template_faults(template, info)
    assert not prompt_faults(to_prompt(template, info), info)
    assert not overlaps(template)


@pytest.mark.parametrize("name", NAMES)
def test_template_names_the_downloads(name: str) -> None:
    (loader,) = (n for n in read(f"{name}.json")["nodes"] if n["type"] == "LoadMMAudioModel")
    assert loader["properties"]["models"] == [
        {"name": file.name, "url": file.url(), "directory": "mmaudio"}
        for file in files_for(DEFAULT_VARIANT)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_api_prompt(name: str, info: Json) -> None:
    assert not prompt_faults(read(f"api/{name}.json"), info)


@pytest.mark.parametrize("name", NAMES)
def test_template_and_prompt_are_the_same_graph(name: str, info: Json) -> None:
    prompt = read(f"api/{name}.json")
    for node in prompt.values():
        del node["_meta"]
    assert to_prompt(read(f"{name}.json"), info) == prompt


@pytest.mark.parametrize("name", NAMES)
def test_template_runs(name: str, comfy: ComfyServer, info: Json, video: str) -> None:
    prompt = as_tested(to_prompt(read(f"{name}.json"), info), video)
    check_run(comfy, prompt)


@pytest.mark.parametrize("name", NAMES)
def test_api_prompt_runs(name: str, comfy: ComfyServer, video: str) -> None:
    check_run(comfy, as_tested(read(f"api/{name}.json"), video))


def test_comfyui_lists_the_templates_alone(comfy: ComfyServer) -> None:
    assert sorted(comfy.client.templates()[ALIAS]) == sorted(NAMES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "0 is not in 1 to 200"),
        ({"steps": "25"}, "is no INT"),
        ({"scheduler": "none"}, "is none of"),
        ({"colour": 1}, "there is no input colour"),
        ({"features": ["1", 0]}, "gives a MMAUDIO"),
    ],
)
def test_a_faulty_prompt_is_found(info: Json, change: Json, words: str) -> None:
    prompt = read("api/text_to_audio.json")
    sampler = next(n for n in prompt.values() if n["class_type"] == "MMAudioSampler")
    sampler["inputs"].update(change)
    (fault,) = prompt_faults(prompt, info)
    assert words in fault


@pytest.mark.parametrize("change", [{"name": "picture"}, {"type": "LATENT"}])
def test_linked_output_that_does_not_fit_is_found(info: Json, change: Json) -> None:
    template = read("images_to_audio.json")
    parts = next(n for n in template["nodes"] if n["type"] == "GetVideoComponents")
    parts["outputs"][1].update(change)  # audio, which is not linked
    assert not template_faults(template, info)
    parts["outputs"][0].update(change)
    assert any(
        "GetVideoComponents): output 0" in fault for fault in template_faults(template, info)
    )


def test_missing_input_is_found(info: Json) -> None:
    prompt = read("api/text_to_audio.json")
    sampler = next(n for n in prompt.values() if n["class_type"] == "MMAudioSampler")
    del sampler["inputs"]["seed"]
    assert len(prompt_faults(prompt, info)) == 1
