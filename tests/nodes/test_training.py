"""From a folder to a saved LoRA, in a running ComfyUI."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors import safe_open

from dev.server import ComfyServer
from tests.core.made_sounds import RATE, tone, with_sound
from tests.core.made_videos import steady, write_video

from .described import inputs
from .graphs import failure, node, notices, run


def graph(comfy: ComfyServer, **training_set: Any) -> dict[str, Any]:
    """Load, prepare, train one step with ComfyUI's defaults, evaluate and save."""
    described = comfy.client.object_info("TrainLoraNode")["TrainLoraNode"]
    slots = described["output_name"]  # 0.8.0 gives the model first
    defaults = {
        key: options["default"]
        for key, (_, options) in inputs(described).items()
        if "default" in options
    }
    lora = ["train", slots.index("lora")]
    return {
        "load": node(
            "LoadMMAudioModel", model="small_16k", precision="fp32", download_missing=False
        ),
        "set": node(
            "MMAudioTrainingSet",
            mmaudio=["load", 0],
            **{
                "folder": "training",
                "piece_seconds": 1.0,
                "overlap": 0.0,
                "held_out": 0.5,
                "copies": 2,
                "drop_picture": 0.1,
                "drop_text": 0.1,
                "seed": 0,
                **training_set,
            },
        ),
        "objective": node("MMAudioTrainingObjective", model=["load", 1]),
        "train": node(
            "TrainLoraNode",
            **{
                **defaults,
                "model": ["objective", 0],
                "latents": ["set", 0],
                "positive": ["set", 1],
                "steps": 1,
                "rank": 2,
                "existing_lora": "[None]",
            },
        ),
        "evaluate": node(
            "MMAudioEvaluateLoRA",
            mmaudio=["load", 0],
            lora=lora,
            training_set=["set", 4],
            draws=1,
            seed=0,
            steps=1,
            cfg=1.0,
        ),
        "shown": node("PreviewAny", source=["evaluate", 0]),
        "save": node(
            "MMAudioSaveLoRA",
            lora=lora,
            model=["load", 1],
            filename_prefix="loras/of_the_test",
            steps=["train", slots.index("steps")],
            training_set=["set", 4],
        ),
    }


@pytest.fixture(scope="module")
def folder(comfy: ComfyServer) -> str:
    """Two films of a second with sound, and a file that is none."""
    place = comfy.input / "training"
    place.mkdir(exist_ok=True)
    for name, hertz in (("hum", 110), ("whistle", 2000)):
        write_video(comfy.input / "silent.mp4", steady(30, 25))
        with_sound(comfy.input / "silent.mp4", place / f"{name}.mkv", tone(1.2, hertz, -20), RATE)
    (place / "broken.mp4").write_bytes(b"nothing")
    return place.name


@pytest.mark.usefixtures("folder")
def test_a_folder_becomes_a_lora(comfy: ComfyServer) -> None:
    result = run(comfy, graph(comfy))
    (path,) = (comfy.output / "loras").glob("of_the_test*")
    assert path.name == "of_the_test_1_steps_00001_.safetensors"
    with safe_open(path, "pt") as file:
        assert file.metadata()["mmaudio_steps"] == "1"
        assert torch.isfinite(file.get_tensor(next(iter(file.keys())))).all()
    told = notices(result)
    assert "broken.mp4: cannot be opened" in told["set"]
    assert "saved to loras/of_the_test_1_steps" in told["save"]
    assert "on what was held out" in told["evaluate"]


@pytest.mark.newest
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"folder": "none"}, "got no recordings"),
        ({"folder": "../training"}, "leads out of it"),
        ({"piece_seconds": 3.0}, "got no recording that can be learned"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_learned_is_refused(
    comfy: ComfyServer, change: dict[str, Any], words: str
) -> None:
    assert words in failure(comfy, graph(comfy, **change))
