"""The shipped templates as the page shows and runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dev.server import ComfyServer
from tests.conftest import SYNTHETIC_VARIANTS
from tests.core.made_sounds import RATE, tone, with_sound

from .page import ComfyPage

FOLDER = Path(__file__).parents[2] / "workflows"
APP = "MMAudio video to audio.app"
# These show texts and a picture, and save no sound.
IN_SYNC = "MMAudio is my sound in sync"
TRAIN = "MMAudio train a LoRA on your own sounds"
NAMES = sorted(path.name.removesuffix(".json") for path in FOLDER.glob("*.json"))
LORA = "of_zeros.safetensors"
SHOWN = """() => {
  const outputs = Object.values(window.app.nodeOutputs);
  return outputs.some((one) => one.images?.length) && outputs.some((one) => one.text?.[0]);
}"""


@pytest.fixture(scope="session")
def picture(comfy: ComfyServer) -> str:
    Image.new("RGB", (64, 48)).save(comfy.input / "browser.png")
    return "browser.png"


@pytest.fixture(scope="session")
def recordings(comfy: ComfyServer, clip: str) -> str:
    """A folder of two films, and beside the server's results a LoRA that changes nothing."""
    folder = comfy.input / "recordings"
    folder.mkdir()
    for name, hertz in (("hum", 110), ("whistle", 2000)):
        with_sound(comfy.input / clip, folder / f"{name}.mkv", tone(2, hertz, -20), RATE)
    (comfy.output / "loras").mkdir(exist_ok=True)
    bias = {"diffusion_model.audio_input_proj.0.diff_b": torch.zeros(64)}
    save_file(bias, comfy.output / "loras" / LORA)
    return folder.name


def choose(page: ComfyPage, clip: str, picture: str, recordings: str = "") -> None:
    """What the user chooses, and less work than the templates ask for."""
    choices: dict[str, dict[str, Any]] = {
        "LoadVideo": {"file": clip},
        "LoadImage": {"image": picture},
        "RepeatImageBatch": {"amount": 10},
        "LoadMMAudioModel": {"model": SYNTHETIC_VARIANTS[0]},
        "MMAudioFeatureExtract": {"duration": 0.7},
        "MMAudioPromptSchedule": {"schedule": "0-0.3: rain\n0.3-: wind"},
        "MMAudioSampler": {"steps": 2},
        "MMAudioTrainingSet": {"folder": recordings, "piece_seconds": 1},
        "TrainLoraNode": {"steps": 1, "rank": 2},
        "MMAudioEvaluateLoRA": {"steps": 1, "draws": 1},
        "MMAudioLoraLoader": {"lora_name": LORA},
    }
    for node in page.graph()["nodes"]:
        if node["type"] in choices:
            page.set_widgets(str(node["id"]), **choices[node["type"]])


@pytest.mark.parametrize("name", NAMES)
def test_template(name: str, page: ComfyPage, clip: str, picture: str, recordings: str) -> None:
    """It opens without a complaint, nothing covers another thing, and it plays what it made."""
    page.open_template(name)
    assert page.complaints() == [] and page.errors == []
    assert page.overlaps() == []

    choose(page, clip, picture, recordings)
    assert page.run() == "success", page.messages()
    if name in (IN_SYNC, TRAIN):
        assert page.wait(lambda: page.page.evaluate(SHOWN))
        lanes = page.page.locator(".mmaudio-takes .lane")
        assert page.wait(lambda: lanes.count() == (3 if name == TRAIN else 0))
    else:
        assert page.results()
    assert page.overlaps() == []  # nodes grow when they show something
    assert page.complaints() == [] and page.errors == []


def test_app(page: ComfyPage, clip: str, picture: str) -> None:
    """It asks for little, and shows three takes, with one of them to play."""
    page.open_template(APP)
    labels = page.page.get_by_test_id("builder-widget-label")
    expected = ["file", "prompt", "seed", "download_missing", "takes"]
    assert page.wait(lambda: labels.all_inner_texts() == expected), labels.all_inner_texts()
    assert page.wait(lambda: page.page.get_by_text("Run to hear the takes.").count() == 1)
    takes = page.page.get_by_test_id("linear-video-output")

    def files() -> set[str]:
        return set(takes.evaluate_all("(all) => all.map((take) => take.src)"))

    before = files()
    choose(page, clip, picture)
    assert page.run() == "success", page.messages()
    assert page.wait(lambda: len(files() - before) == 3)
    panel = page.page.get_by_test_id("linear-center-panel")
    panel.locator("video[controls]").wait_for()
    shown = page.page.locator(".mmaudio-takes:visible")
    lanes = shown.locator(".lane")
    assert page.wait(lambda: lanes.count() == 3)
    shown.get_by_role("button", name="Play").click()
    times = "(all) => Math.min(...all.map((audio) => audio.currentTime))"
    audios = shown.locator("audio")
    assert page.wait(lambda: audios.evaluate_all(times) > 0.1)


def test_the_dialog_lists_them(page: ComfyPage) -> None:
    """Under the pack's name, each with its picture; a click opens the graph."""
    page.browse_templates(NAMES[0].replace("_", " "))
    card = page.page.get_by_test_id(f"template-workflow-{NAMES[0]}")
    picture = card.locator("img").first
    assert page.wait(lambda: picture.evaluate("(image) => image.naturalWidth") > 0)
    card.click()
    assert page.wait(lambda: "LoadMMAudioModel" in {n["type"] for n in page.graph()["nodes"]})
