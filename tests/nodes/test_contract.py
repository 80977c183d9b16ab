"""The nodes' interface, which saved workflows rely on: no slot moves, no default changes.

New inputs and outputs come after those listed here, and new inputs are optional or have a default.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.server import ComfyServer

SOUND_START = ("FLOAT", {"default": 0.0, "min": -600.0, "max": 600.0})
FRAME_RATE = ("FLOAT", {"default": 25.0})
AUTO = ("COMBO", {"default": "auto"})

# Node -> (required inputs, optional inputs, (name, type) of its outputs).
CONTRACT: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = {
    "LoadMMAudioModel": (
        {
            "model": ("COMBO", {"default": "large_44k_v2"}),
            "precision": ("COMBO", {"default": "auto"}),
            "download_missing": ("BOOLEAN", {"default": False}),
        },
        {
            kind: ("COMBO", {"default": "auto"})
            for kind in ("vae", "vocoder", "clip", "synchformer")
        },
        [("mmaudio", "MMAUDIO")],
    ),
    "MMAudioFeatureExtract": (
        {
            "mmaudio": ("MMAUDIO", {}),
            "prompt": ("STRING", {"default": ""}),
            "negative_prompt": ("STRING", {"default": ""}),
            "duration": ("FLOAT", {"default": 8.0, "min": 0.0, "max": 600.0}),
            "start_offset": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 600.0}),
            "mask_away_clip": ("BOOLEAN", {"default": False}),
        },
        {
            "video": ("VIDEO", {}),
            "images": ("IMAGE", {}),
            "frame_rate": FRAME_RATE,
            "negative_preset": ("COMBO", {"default": "none"}),
            "mask": ("MASK", {}),
            "video_info": ("VHS_VIDEOINFO", {}),
        },
        [
            ("features", "MMAUDIO_FEATURES"),
            ("positive", "CONDITIONING"),
            ("negative", "CONDITIONING"),
            ("latent", "LATENT"),
        ],
    ),
    "MMAudioSampler": (
        {
            "mmaudio": ("MMAUDIO", {}),
            "features": ("MMAUDIO_FEATURES", {}),
            "seed": (
                "INT",
                {"default": 0, "min": 0, "max": 2**64 - 1, "control_after_generate": True},
            ),
            "steps": ("INT", {"default": 25, "min": 1, "max": 200}),
            "cfg": ("FLOAT", {"default": 4.5, "min": 0.0, "max": 20.0}),
            "num_samples": ("INT", {"default": 1, "min": 1, "max": 16}),
        },
        {
            "model": ("MODEL", {}),
            "latent": ("LATENT", {}),
            "denoise": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0}),
            "sampler_name": ("COMBO", {"default": "euler"}),
            "scheduler": ("COMBO", {"default": "linear"}),
            "best_of": ("INT", {"default": 1, "min": 1, "max": 64}),
            "no_voice": ("BOOLEAN", {"default": False}),
            "voice_retries": ("INT", {"default": 2, "min": 0, "max": 16}),
        },
        [("audio", "AUDIO")],
    ),
    "MMAudioPromptSchedule": (
        {
            "mmaudio": ("MMAUDIO", {}),
            "features": ("MMAUDIO_FEATURES", {}),
            "schedule": ("STRING", {"default": "", "multiline": True}),
        },
        {"crossfade": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 10.0})},
        [
            ("features", "MMAUDIO_FEATURES"),
            ("positive", "CONDITIONING"),
            ("negative", "CONDITIONING"),
        ],
    ),
    "MuxAudioVideo": (
        {"audio": ("AUDIO", {}), "filename_prefix": ("STRING", {"default": "mmaudio/video"})},
        {
            "video": ("VIDEO", {}),
            "images": ("IMAGE", {}),
            "frame_rate": FRAME_RATE,
            "start_offset": SOUND_START,
            "take": ("INT", {"default": 0, "min": -1}),
            "original_audio": ("COMBO", {"default": "replace"}),
            "gain_db": ("FLOAT", {"default": 0.0, "min": -60.0, "max": 24.0}),
            "fade_in": ("FLOAT", {"default": 0.0, "min": 0.0}),
            "fade_out": ("FLOAT", {"default": 0.0, "min": 0.0}),
            "loudness": ("COMBO", {"default": "off"}),
            "container": ("COMBO", {"default": "auto"}),
            "audio_codec": ("COMBO", {"default": "auto"}),
            "bitrate": ("INT", {"default": 0, "min": 0}),
            "trim_to_audio": ("BOOLEAN", {"default": False}),
            "crf": ("INT", {"default": 19, "min": 0, "max": 51}),
            "pix_fmt": ("COMBO", {"default": "auto"}),
            "video_info": ("VHS_VIDEOINFO", {}),
            "keep_metadata": ("BOOLEAN", {"default": True}),
        },
        [("video", "VIDEO")],
    ),
    "MMAudioAutoPrompt": (
        {
            "mmaudio": ("MMAUDIO", {}),
            "kind": ("COMBO", {"default": "sounds"}),
            "top_k": ("INT", {"default": 3, "min": 1}),
            "threshold": ("FLOAT", {"default": 0.05, "min": 0.0, "max": 1.0}),
            "template": ("STRING", {"default": "{labels}"}),
            "duration": ("FLOAT", {"default": 8.0, "min": 0.0, "max": 600.0}),
            "start_offset": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 600.0}),
        },
        {
            "video": ("VIDEO", {}),
            "images": ("IMAGE", {}),
            "frame_rate": FRAME_RATE,
            "video_info": ("VHS_VIDEOINFO", {}),
        },
        [("prompt", "STRING"), ("labels", "STRING")],
    ),
    "MMAudioSaveAudio": (
        {
            "audio": ("AUDIO", {}),
            "filename_prefix": ("STRING", {"default": "mmaudio/audio"}),
            "format": ("COMBO", {"default": "flac"}),
        },
        {},
        [("audio", "AUDIO")],
    ),
    "MMAudioTakes": (
        {"audio": ("AUDIO", {}), "take": ("INT", {"default": 0, "min": 0})},
        {"video": ("VIDEO", {}), "start_offset": SOUND_START},
        [("audio", "AUDIO")],
    ),
    "MMAudioScoreTakes": (
        {"features": ("MMAUDIO_FEATURES", {}), "audio": ("AUDIO", {}), "mmaudio": ("MMAUDIO", {})},
        {
            "sync": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 10.0}),
            "agreement": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 10.0}),
            "onsets": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 10.0}),
            "voice": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 10.0}),
            "silence": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 10.0}),
            "clipping": ("FLOAT", {"default": 0.25, "min": 0.0, "max": 10.0}),
        },
        [
            ("audio", "AUDIO"),
            ("best", "INT"),
            ("report", "STRING"),
            ("scores", "STRING"),
            ("plot", "IMAGE"),
        ],
    ),
    "MMAudioPlot": (
        {"audio": ("AUDIO", {})},
        {
            "video": ("VIDEO", {}),
            "images": ("IMAGE", {}),
            "features": ("MMAUDIO_FEATURES", {}),
            "frame_rate": FRAME_RATE,
            "start_offset": SOUND_START,
            "take": ("INT", {"default": 0, "min": 0}),
            "video_info": ("VHS_VIDEOINFO", {}),
        },
        [("image", "IMAGE")],
    ),
    "MMAudioTrainingSet": (
        {
            "mmaudio": ("MMAUDIO", {}),
            "folder": ("COMBO", {"default": "none"}),
            "piece_seconds": ("FLOAT", {"default": 8.0, "min": 1.0, "max": 10.0}),
            "overlap": ("FLOAT", {"default": 0.0, "min": 0.0}),
            "held_out": ("FLOAT", {"default": 0.1, "min": 0.0}),
            "copies": ("INT", {"default": 8, "min": 1}),
            "drop_picture": ("FLOAT", {"default": 0.1, "min": 0.0, "max": 1.0}),
            "drop_text": ("FLOAT", {"default": 0.1, "min": 0.0, "max": 1.0}),
            "seed": ("INT", {"default": 0, "min": 0, "max": 2**64 - 1}),
        },
        {
            "videos": ("VIDEO", {}),
            "sounds": ("AUDIO", {}),
            "captions": ("STRING", {"default": "", "multiline": True}),
            "loudness": ("COMBO", {"default": "off"}),
            "split_at_cuts": ("BOOLEAN", {"default": True}),
            "skip_voices": ("BOOLEAN", {"default": False}),
            "keep_features": ("BOOLEAN", {"default": True}),
        },
        [
            ("latents", "LATENT"),
            ("positive", "CONDITIONING"),
            ("report", "STRING"),
            ("preview", "IMAGE"),
            ("training_set", "MMAUDIO_TRAINING_SET"),
        ],
    ),
    "MMAudioTrainingObjective": ({"model": ("MODEL", {})}, {}, [("model", "MODEL")]),
    "MMAudioEvaluateLoRA": (
        {
            "mmaudio": ("MMAUDIO", {}),
            "lora": ("LORA_MODEL", {}),
            "training_set": ("MMAUDIO_TRAINING_SET", {}),
            "draws": ("INT", {"default": 4, "min": 1}),
            "seed": ("INT", {"default": 0, "min": 0, "max": 2**64 - 1}),
            "steps": ("INT", {"default": 25, "min": 1, "max": 200}),
            "cfg": ("FLOAT", {"default": 4.5, "min": 0.0, "max": 20.0}),
        },
        {"features": ("MMAUDIO_FEATURES", {})},
        [("report", "STRING"), ("audio", "AUDIO"), ("held_out_loss", "FLOAT")],
    ),
    "MMAudioSaveLoRA": (
        {
            "lora": ("LORA_MODEL", {}),
            "model": ("MODEL", {}),
            "filename_prefix": ("STRING", {"default": "loras/mmaudio"}),
            "steps": ("INT", {"default": 0, "min": 0}),
        },
        {"training_set": ("MMAUDIO_TRAINING_SET", {})},
        [("path", "STRING")],
    ),
}
VARIANTS = ["small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2"]


@pytest.fixture(scope="module")
def info(comfy: ComfyServer) -> dict[str, Any]:
    return comfy.client.object_info()


def inputs(node: dict[str, Any], group: str) -> dict[str, Any]:
    """Name -> (type, options) of a node's inputs, in the node's order."""
    described = node["input"].get(group, {})
    return {name: described[name] for name in node["input_order"].get(group, [])}


def options(described: list[Any]) -> list[str]:
    """The choices of a combo, in either of ComfyUI's formats."""
    return described[0] if isinstance(described[0], list) else described[1]["options"]


def agrees(described: list[Any], kind: str, wanted: dict[str, Any]) -> bool:
    got = "COMBO" if isinstance(described[0], list) else described[0]
    settings = described[1] if len(described) > 1 else {}
    return got == kind and {key: settings.get(key) for key in wanted} == wanted


@pytest.mark.parametrize("name", CONTRACT)
def test_inputs(info: dict[str, Any], name: str) -> None:
    required, optional, _ = CONTRACT[name]
    for group, wanted in (("required", required), ("optional", optional)):
        got = inputs(info[name], group)
        assert list(got)[: len(wanted)] == list(wanted)
        for key, (kind, settings) in wanted.items():
            assert agrees(got[key], kind, settings), (key, got[key])
    added = list(inputs(info[name], "required").items())[len(required) :]
    assert all("default" in described[1] for _, described in added)


@pytest.mark.parametrize("name", CONTRACT)
def test_outputs(info: dict[str, Any], name: str) -> None:
    wanted = CONTRACT[name][2]
    got = list(zip(info[name]["output_name"], info[name]["output"], strict=True))
    assert got[: len(wanted)] == wanted
    assert [name for name, _ in got] == [name.lower() for name, _ in got]


def test_output_nodes(info: dict[str, Any]) -> None:
    found = {name for name in CONTRACT if info[name]["output_node"]}
    assert found == {"MuxAudioVideo", "MMAudioSaveAudio", "MMAudioTakes", "MMAudioSaveLoRA"}


def test_every_widget_is_explained(info: dict[str, Any]) -> None:
    for name in CONTRACT:
        assert info[name]["description"]
        for group in ("required", "optional"):
            for key, described in inputs(info[name], group).items():
                widget = "default" in (described[1] if len(described) > 1 else {})
                assert not widget or described[1].get("tooltip"), (name, key)


def test_precisions(info: dict[str, Any]) -> None:
    precision = options(info["LoadMMAudioModel"]["input"]["required"]["precision"])
    assert precision[:4] == ["auto", "fp32", "bf16", "fp16"]


def test_choices_of_other_nodes(info: dict[str, Any]) -> None:
    described = info["MuxAudioVideo"]["input"]["optional"]
    assert {
        key: options(described[key])
        for key in ("original_audio", "loudness", "container", "audio_codec", "pix_fmt")
    } == {
        "original_audio": ["replace", "mix", "duck", "keep_as_track"],
        "loudness": ["off", "-14 LUFS", "-16 LUFS", "-23 LUFS"],
        "container": ["auto", "mp4", "mov", "mkv", "webm"],
        "audio_codec": ["auto", "aac", "opus", "flac", "pcm"],
        "pix_fmt": ["auto", "yuv420p", "yuv420p10le", "yuv444p"],
    }
    described = info["MMAudioAutoPrompt"]["input"]["required"]
    assert options(described["kind"]) == ["sounds", "music"]
    described = info["MMAudioSaveAudio"]["input"]["required"]
    assert options(described["format"]) == ["flac", "m4a"]


@pytest.fixture
def nested(comfy: ComfyServer) -> Iterator[Path]:
    """A copy of the small synthetic model, renamed, two folders down."""
    folder = comfy.models / "mmaudio" / "more" / "of them"
    folder.mkdir(parents=True)
    for number, path in enumerate(sorted((comfy.models / "mmaudio" / "small_16k").iterdir())):
        shutil.copy(path, folder / f"{number}{path.suffix}")
    yield folder
    shutil.rmtree(folder.parent)


def test_files_are_listed_by_what_they_are(comfy: ComfyServer, nested: Path) -> None:
    """Under relative paths with ``/`` on every system, each only where it fits."""
    inputs = comfy.client.object_info("LoadMMAudioModel")["LoadMMAudioModel"]["input"]
    models = options(inputs["required"]["model"])
    assert models[: len(VARIANTS)] == VARIANTS
    assert {name for name in models if "/" not in name} == set(VARIANTS)
    listed = [models, *(options(described) for described in inputs["optional"].values())]
    assert all(choices[0] == "auto" for choices in listed[1:])
    ours = [[name for name in choices if name.startswith("more/")] for choices in listed]
    assert [len(names) for names in ours] == [1, 1, 1, 1, 1]
    assert {name for names in ours for name in names} == {
        f"more/of them/{path.name}" for path in nested.iterdir()
    }
    assert not any("\\" in name for names in ours for name in names)
