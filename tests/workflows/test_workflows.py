"""The shipped workflows, checked against a running ComfyUI and run in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dev.server import ALIAS, ComfyServer
from tests.core.made_sounds import RATE as SOUND_RATE
from tests.core.made_sounds import tone, with_sound
from tests.core.made_videos import steady, write_video
from tests.nodes.graphs import paths, read_audio, run

from .schema import overlaps, prompt_faults, template_faults, to_prompt
from .schema import read as read_node

FOLDER = Path(__file__).parents[2] / "workflows"
VIDEO = "MMAudio video to audio"
APP = "MMAudio video to audio.app"
TEXT = "MMAudio text to audio"
GENERATED = "MMAudio sound for generated video - Wan, Hunyuan, LTX"
LOOP = "MMAudio sound for GIF or loop"
REPAIR = "MMAudio repair sound of a video"
IN_SYNC = "MMAudio is my sound in sync"
TRAIN = "MMAudio train a LoRA on your own sounds"
WITH_LORA = "MMAudio video to audio with LoRA"
NAMES = (
    VIDEO,
    APP,
    TEXT,
    "MMAudio image to audio",
    GENERATED,
    LOOP,
    REPAIR,
    "MMAudio long video to audio with prompts over time",
    IN_SYNC,
    TRAIN,
    WITH_LORA,
)
# In 0.8.0, Train LoRA lacks four inputs and gives a model first; the template's note says so.
CHECKED = [pytest.param(n, marks=pytest.mark.newest) if n == TRAIN else n for n in NAMES]
SECONDS, RATE = 1.6, 44_100
Json = dict[str, Any]


def read(name: str) -> Json:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def only(nodes: Json, class_type: str) -> Json:
    """The inputs of the prompt's one node of a class."""
    (node,) = (one for one in nodes.values() if one["class_type"] == class_type)
    return node["inputs"]


@pytest.fixture(scope="session")
def info(comfy: ComfyServer) -> Json:
    return comfy.client.object_info()


@pytest.fixture(scope="session")
def files(comfy: ComfyServer) -> Json:
    """The user's files by class, or by template. The video's sound is shorter than its picture."""
    write_video(comfy.input / "workflow.mp4", steady(40, 25), sound=True)
    frames = [Image.new("RGB", (64, 48), (60 * number, 0, 0)) for number in range(4)]
    frames[0].save(
        comfy.input / "workflow.gif", save_all=True, append_images=frames[1:], duration=100
    )
    frames[0].save(comfy.input / "workflow.png")
    recordings = comfy.input / "recordings"
    recordings.mkdir()
    for name, hertz in (("hum", 110), ("whistle", 2000)):
        sound = tone(SECONDS, hertz, -20)
        with_sound(comfy.input / "workflow.mp4", recordings / f"{name}.mkv", sound, SOUND_RATE)
    return {
        "LoadVideo": "workflow.mp4",
        "LoadImage": "workflow.png",
        LOOP: "workflow.gif",
        "folder": recordings.name,
    }


def as_tested(name: str, files: Json) -> Json:
    """A template's prompt with existing files, all of ``SECONDS``, and less work."""
    prompt = read(f"api/{name}")
    changes: Json = {
        "LoadVideo": {"file": files["LoadVideo"]},
        "LoadImage": {"image": files.get(name, files["LoadImage"])},
        "MMAudioSampler": {"steps": 2},
        "MMAudioPromptSchedule": {"schedule": "0-0.8: rain\n0.8-: wind --no birds"},
        "MMAudioTrainingSet": {"folder": files["folder"], "piece_seconds": 1},
        "TrainLoraNode": {"steps": 3, "rank": 2},
        "MMAudioEvaluateLoRA": {"steps": 1, "draws": 1},
    }
    for node in prompt.values():
        inputs = node["inputs"]
        inputs.update(changes.get(node["class_type"], {}))
        if inputs.get("duration"):
            inputs["duration"] = SECONDS
    return prompt


def test_every_workflow_has_a_template_a_prompt_and_a_thumbnail() -> None:
    for found in ("*.json", "api/*.json", "*.jpg"):
        assert sorted(path.stem for path in FOLDER.glob(found)) == sorted(NAMES), found


@pytest.mark.parametrize("name", NAMES)
def test_thumbnail(name: str) -> None:
    path = FOLDER / f"{name}.jpg"
    assert path.stat().st_size < 60_000
    with Image.open(path) as image:
        assert image.width == 900
        assert 400 < image.height < 650


@pytest.mark.parametrize("name", CHECKED)
def test_template(name: str, info: Json) -> None:
    template = read(name)
    assert not template_faults(template, info)
    assert not prompt_faults(to_prompt(template, info), info)
    assert not overlaps(template)


@pytest.mark.parametrize("name", CHECKED)
def test_template_and_prompt_are_the_same_graph(name: str, info: Json) -> None:
    assert to_prompt(read(name), info) == read(f"api/{name}")


@pytest.mark.parametrize("name", CHECKED)
def test_template_opens_clean(name: str, info: Json) -> None:
    """No file of somebody else's is missing, and no node is deprecated."""
    for node in read(f"api/{name}").values():
        definition = info[node["class_type"]]
        assert not definition.get("deprecated"), node["class_type"]
        chosen = [node["inputs"][one.name] for one in read_node(definition).inputs if one.is_chosen]
        assert not any(chosen)


@pytest.mark.parametrize("name", CHECKED)
def test_template_tells_where_to_start(name: str) -> None:
    (note,) = (node for node in read(name)["nodes"] if node["type"] == "MarkdownNote")
    assert note["pos"] == min(node["pos"] for node in read(name)["nodes"])
    (text,) = note["widgets_values"]
    assert "download_missing" in text
    assert "CC-BY-NC" in text
    assert "`" not in text  # Nodes 2.0 draws code in the color of the note


@pytest.mark.parametrize("name", [n for n in NAMES if n not in (IN_SYNC, TRAIN, WITH_LORA)])
def test_prompt_runs(name: str, comfy: ComfyServer, files: Json) -> None:
    """Every result has sound of the whole length."""
    saved = paths(comfy, run(comfy, as_tested(name, files)))
    assert len(saved) == (3 if name == APP else 1)
    for path in saved:
        samples = read_audio(path).shape[1]
        # an encoder rounds up to whole frames of 1024
        assert round(SECONDS * RATE) <= samples <= round(SECONDS * RATE) + 2 * 1024


def test_a_sound_is_looked_at(comfy: ComfyServer, files: Json) -> None:
    """The template that makes none: it shows a text and a picture, and says what it left out."""
    result = run(comfy, as_tested(IN_SYNC, files))
    (told,) = (shown["text"] for node, shown in result.outputs.items() if node == "7")
    assert "cannot be told" in told[0]  # the clip's sound is silent
    assert "s long and the features 1.60 s" in told[0]
    (picture,) = paths(comfy, result)
    assert picture.suffix == ".png"


@pytest.mark.newest
def test_a_lora_is_trained_and_used(comfy: ComfyServer, files: Json) -> None:
    """From the folder to a file, on from that file, and the file in the other template."""
    prompt = as_tested(TRAIN, files)
    train, loras = only(prompt, "TrainLoraNode"), comfy.output / "loras"
    for steps in (3, 6):  # it goes on where it was
        result = run(comfy, prompt)
        told = [texts for shown in result.outputs.values() for texts in shown.get("text", ())]
        assert any("Learned: 2 pieces" in text for text in told), told
        assert any("on what was held out" in text for text in told), told
        (takes,) = (shown for shown in result.outputs.values() if "mmaudio_takes" in shown)
        assert len(takes["mmaudio_takes"][0]["takes"]) == 3
        train["existing_lora"] = f"mmaudio_{steps}_steps_00001_.safetensors"
        assert (loras / train["existing_lora"]).exists()
    sounds: list[np.ndarray[Any, Any]] = []
    for strength in (0, 1):
        used = as_tested(WITH_LORA, files)
        only(used, "MMAudioLoraLoader").update(lora_name=train["existing_lora"], strength=strength)
        (path,) = paths(comfy, run(comfy, used))
        sounds.append(read_audio(path))
    assert round(SECONDS * RATE) <= sounds[1].shape[1] <= round(SECONDS * RATE) + 2 * 1024
    assert not np.array_equal(sounds[0], sounds[1])


def test_app_is_the_template_with_three_takes(info: Json) -> None:
    app, template = (to_prompt(read(name), info) for name in (APP, VIDEO))
    only(template, "MMAudioSampler")["num_samples"] = 3
    only(template, "MuxAudioVideo")["take"] = -1
    for prompt in (app, template):
        for node in prompt.values():
            del node["_meta"]
    assert app == template


def test_app_shows_inputs_and_results(info: Json) -> None:
    template = read(APP)
    prompt = to_prompt(template, info)
    assert template["extra"]["linearMode"]
    shown = template["extra"]["linearData"]
    asked = [(prompt[str(node)]["class_type"], widget) for node, widget in shown["inputs"]]
    assert asked == [
        ("LoadVideo", "file"),
        ("MMAudioFeatureExtract", "prompt"),
        ("MMAudioSampler", "seed"),
        ("LoadMMAudioModel", "download_missing"),
        ("MuxAudioVideo", "mmaudio_takes"),  # the take panel, which is no input
    ]
    assert all(widget in prompt[str(node)]["inputs"] for node, widget in shown["inputs"][:-1])
    assert [prompt[str(node)]["class_type"] for node in shown["outputs"]] == ["MuxAudioVideo"]


def test_generated_video_has_16_frames_a_second_without_its_stand_ins(info: Json) -> None:
    """What the note asks for: delete the loading nodes and connect a generator."""
    template = read(GENERATED)
    kept = [n for n in template["nodes"] if n["type"] not in ("LoadVideo", "GetVideoComponents")]
    ids = {node["id"] for node in kept}
    links = [link for link in template["links"] if link[1] in ids]
    numbers = {link[0] for link in links}
    for node in kept:
        for slot in node["inputs"]:
            slot["link"] = slot["link"] if slot["link"] in numbers else None
    prompt = to_prompt({"nodes": kept, "links": links}, info)
    assert only(prompt, "MMAudioFeatureExtract")["frame_rate"] == 16
    assert only(prompt, "MuxAudioVideo")["frame_rate"] == 16


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
    prompt = read(f"api/{TEXT}")
    only(prompt, "MMAudioSampler").update(change)
    (fault,) = prompt_faults(prompt, info)
    assert words in fault


@pytest.mark.parametrize("change", [{"name": "picture"}, {"type": "LATENT"}])
def test_linked_output_that_does_not_fit_is_found(info: Json, change: Json) -> None:
    template = read(GENERATED)
    parts = next(n for n in template["nodes"] if n["type"] == "GetVideoComponents")
    parts["outputs"][1].update(change)  # audio, which is not linked
    assert not template_faults(template, info)
    parts["outputs"][0].update(change)
    assert any(
        "GetVideoComponents): output 0" in fault for fault in template_faults(template, info)
    )


def test_missing_input_is_found(info: Json) -> None:
    prompt = read(f"api/{TEXT}")
    del only(prompt, "MMAudioSampler")["seed"]
    assert len(prompt_faults(prompt, info)) == 1
