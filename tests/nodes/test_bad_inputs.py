"""Errors say what was got, what was expected and what to do, and leave nothing behind.

Each case runs in a real ComfyUI, and after each the next valid job must succeed.
"""

from __future__ import annotations

import itertools
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dev.server import ComfyServer
from mmaudio_core.checkpoint.kinds import PartKind
from mmaudio_core.checkpoint.layouts import LAYOUTS
from mmaudio_core.checkpoint.synthetic import seeded_state_dict
from mmaudio_core.models.clip import CLIP, CLIPParams
from tests.core.made_videos import steady, write_sound, write_video
from tests.nodes.graphs import MODEL, Graph, failure, generate, muxed, node, saved, sound

SEEDS = itertools.count(1000)
FILES = "files of that kind"


@pytest.fixture
def refused(comfy: ComfyServer) -> Callable[..., str]:
    """Runs a graph that must fail with a message that contains all of ``parts``."""

    def check(graph: Graph, *parts: str) -> str:
        message = failure(comfy, graph)
        assert all(part.lower() in message.lower() for part in parts), message
        good = generate(comfy, sound(sample={"seed": next(SEEDS)}))[0]
        assert len(good) == 10_240 and float(np.abs(good).max()) > 0.01
        return message

    return check


Refused = Callable[..., str]


# --- videos


def truncated(path: Path) -> None:
    write_video(path, steady(50, 25))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed(path: Path) -> None:
    """A complete file, but the data of every frame is zeros."""
    write_video(path, steady(50, 25))
    data = path.read_bytes()
    begin, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    path.write_bytes(data[:begin] + bytes(end - begin) + data[end:])


BAD_VIDEOS: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "sound_only": (
        write_sound,
        ("no video stream", "an audio track only", "expected a video", "choose a file"),
    ),
    "half": (
        truncated,
        ("cannot be opened", "expected a whole video file", "export or download it again"),
    ),
    "empty": (
        lambda path: path.write_bytes(b""),
        ("is empty (0 bytes)", "expected a video file", "make it again"),
    ),
    "text": (
        lambda path: path.write_text("no video\n" * 200),
        ("cannot be opened", "expected a whole video file", "export or download it again"),
    ),
}
BAD_PICTURES: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "zeroed": (zeroed, ("no frame of", "expected a whole video", "export it again")),
    "short": (
        lambda path: write_video(path, steady(12, 25)),
        ("got 0.48 s of video", "at least 0.64 s", "use a longer video"),
    ),
}


@pytest.mark.parametrize("name", [*BAD_VIDEOS, *BAD_PICTURES])
def test_extracting(comfy: ComfyServer, refused: Refused, name: str) -> None:
    write, parts = (BAD_VIDEOS | BAD_PICTURES)[name]
    write(comfy.input / f"{name}.mp4")
    seen = () if name == "short" else (f"{name}.mp4",)
    refused(saved(sound(video=f"{name}.mp4", extract={"duration": 0.0})), *parts, *seen)


@pytest.mark.parametrize("name", BAD_VIDEOS)
def test_muxing(comfy: ComfyServer, refused: Refused, name: str) -> None:
    write, parts = BAD_VIDEOS[name]
    write(comfy.input / f"{name}.mp4")
    graph = sound(file=node("LoadVideo", file=f"{name}.mp4"))
    refused(muxed(graph, video=["file", 0]), *parts, f"{name}.mp4")


# --- settings that do not fit


def test_no_file_chosen(refused: Refused) -> None:
    """As in a template that has just been opened."""
    parts = ("a video without a file", "choose a file in load video")
    file = node("LoadVideo", file="")
    refused(saved(sound(extract={"video": ["file", 0]}, file=file)), *parts)
    refused(muxed(sound(file=file), video=["file", 0]), *parts)


def test_both_video_and_images(refused: Refused, clip: str) -> None:
    image = node("EmptyImage", width=64, height=64, batch_size=1, color=0)
    graph = sound(video=clip, extract={"images": ["image", 0]}, image=image)
    parts = ("both video and images", "expected one of them", "disconnect one")
    refused(saved(graph), *parts)
    graph = sound(video=clip, image=image)
    refused(muxed(graph, video=["video", 0], images=["image", 0]), *parts)


def test_neither_video_nor_images_to_mux(refused: Refused) -> None:
    refused(muxed(sound()), "neither video nor images", "connect one of them")


def test_no_duration_without_a_video(refused: Refused) -> None:
    graph = sound(extract={"duration": 0.0})
    refused(saved(graph), "a duration of 0", "without a video", "set duration to", "or connect")


@pytest.mark.parametrize(
    ("extract", "parts"),
    [
        ({"start_offset": 2.0}, ("start of 2 s", "which lasts 2 s", "lower start_offset")),
        ({"start_offset": 7.5}, ("start of 7.5 s", "which lasts 2 s", "lower start_offset")),
        ({"start_offset": 1.5}, ("got 0.5 s of video", "at least 0.64 s", "lower start_offset")),
        ({"duration": 0.5}, ("got 0.5 s of video", "at least 0.64 s", "raise duration")),
    ],
)
def test_too_little_of_a_video(
    refused: Refused, clip: str, extract: dict[str, float], parts: tuple[str, ...]
) -> None:
    refused(saved(sound(video=clip, extract=extract)), *parts)


def test_an_invalid_schedule(refused: Refused) -> None:
    inputs = {"mmaudio": ["load", 0], "features": ["extract", 0]}
    schedule = node("MMAudioPromptSchedule", **inputs, schedule="0-4: rain | thunder")
    graph = sound(sample={"features": ["schedule", 0]}, schedule=schedule)
    refused(saved(graph), 'schedule, column 13: got "thunder"', "start-end: prompt", "such as")


def test_too_few_images(refused: Refused) -> None:
    """A longer duration would not help."""
    images = node("EmptyImage", width=64, height=48, batch_size=5, color=0)
    graph = sound(extract={"images": ["images", 0], "duration": 8.0}, images=images)
    message = refused(saved(graph), "got 0.2 s of video", "at least 0.64 s", "or more images")
    assert "raise duration" not in message.lower()


def test_too_little_sound(refused: Refused) -> None:
    graph = sound(extract={"duration": 0.3})
    refused(saved(graph), "a duration of 0.3 s", "at least 0.64 s", "raise duration")


def test_no_such_take(refused: Refused, clip: str) -> None:
    graph = sound(video=clip, sample={"num_samples": 2})
    refused(
        muxed(graph, video=["video", 0], take=2),
        "got take 2 of 2 takes",
        "set take to 1 or less, or num_samples to 3 or more",
    )


def test_sound_that_starts_after_the_picture(refused: Refused, clip: str) -> None:
    graph = muxed(sound(video=clip), video=["video", 0], start_offset=3.0)
    refused(graph, "start at 3 s", "lasts 2 s", "lower start_offset")


def test_sound_that_ends_before_the_picture(refused: Refused, clip: str) -> None:
    graph = muxed(sound(video=clip), video=["video", 0], start_offset=-3.0)
    refused(graph, "starts 3 s before the picture", "lasts 0.64 s", "raise start_offset")


def test_the_sound_of_a_silent_video(refused: Refused, clip: str) -> None:
    parts = node("GetVideoComponents", video=["video", 0])
    graph = muxed(sound(video=clip, parts=parts), video=["video", 0], audio=["parts", 1])
    refused(graph, "got no sound", "connect the audio of MMAudio Sampler")


def test_a_folder_outside_the_output(refused: Refused, clip: str) -> None:
    graph = muxed(sound(video=clip), video=["video", 0], filename_prefix="../../elsewhere")
    refused(graph, "outside the output folder is not allowed")


@pytest.mark.parametrize(
    ("latent", "shape"),
    [
        (node("EmptyLatentAudio", seconds=2.0, batch_size=1), "(1, 64, 44)"),
        (node("EmptyLatentImage", width=64, height=64, batch_size=1), "(1, 4, 8, 8)"),
    ],
)
def test_a_latent_of_something_else(refused: Refused, latent: dict[str, Any], shape: str) -> None:
    graph = sound(extract={"duration": 2.0}, sample={"latent": ["latent", 0]}, latent=latent)
    refused(
        saved(graph),
        f"a latent of shape {shape}",
        "expected (takes, 1, ",
        "made by an MMAudio node",
    )


def test_a_latent_of_another_model(refused: Refused) -> None:
    other = node("LoadMMAudioModel", model=MODEL, precision="auto", download_missing=False)
    graph = sound(
        load={"model": "large_44k_v2"},
        extract={"mmaudio": ["other", 0]},
        other=other,
        decode=node("MMAudioDecode", mmaudio=["load", 0], samples=["extract", 3]),
    )
    refused(
        saved(graph, "decode"),
        "got a latent of a 16000 Hz model",
        "expected one of a 44100 Hz model",
        "decode with the model that sampled it",
    )


@pytest.mark.parametrize(
    ("where", "name", "value", "expected"),
    [
        ("sample", "cfg", 1e9, "a number from 0 to 20"),
        ("sample", "steps", 10**9, "a whole number from 1 to 200"),
        ("sample", "denoise", 1e-9, "0 or at least"),
        ("mux", "take", -2, "a whole number from -1 to 4095"),
        ("mux", "frame_rate", 0.0, "a number from 0.01 to 1000"),
        ("extract", "duration", -1.0, "a number from 0 to 600"),
    ],
)
def test_a_link_past_the_bounds_of_a_widget(
    refused: Refused, clip: str, where: str, name: str, value: float, expected: str
) -> None:
    kind = "PrimitiveInt" if isinstance(value, int) else "PrimitiveFloat"
    graph = muxed(sound(video=clip, value=node(kind, value=value)), video=["video", 0])
    graph[where]["inputs"][name] = ["value", 0]
    message = refused(graph, f"{name}: got ", f"expected {expected}")
    assert message.count("expected") == 1


def test_a_model_of_another_rate(refused: Refused) -> None:
    """No latent is connected, so none may be blamed."""
    other = node("LoadMMAudioModel", model="large_44k_v2", precision="auto", download_missing=False)
    message = refused(
        saved(sound(sample={"model": ["other", 1]}, other=other)),
        "got a model of 44100 Hz and an mmaudio of 16000 Hz",
        "connect both to the same load mmaudio model",
    )
    assert "latent" not in message


@pytest.mark.parametrize("name", ["sampler_name", "scheduler"])
def test_a_choice_that_is_not_there(refused: Refused, name: str) -> None:
    """ComfyUI refuses it itself; in 0.8 without listing many choices."""
    refused(saved(sound(sample={name: "zigzag"})), name, "zigzag")


# --- weights


@pytest.fixture
def odd(comfy: ComfyServer) -> Iterator[Path]:
    """A folder for bad weights; last in path order, so that ``auto`` never picks them."""
    folder = comfy.models / "mmaudio" / "zz_odd"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def synthetic(comfy: ComfyServer, kind: PartKind) -> Path:
    return next((comfy.models / "mmaudio" / MODEL).glob(f"*_{kind.value}.*"))


def half_of(path: Path, target: Path) -> None:
    data = path.read_bytes()
    target.write_bytes(data[: len(data) // 2])


def test_parts_in_each_others_places(comfy: ComfyServer, refused: Refused) -> None:
    flow = f"{MODEL}/{synthetic(comfy, PartKind.FLOW).name}"
    vae = f"{MODEL}/{synthetic(comfy, PartKind.VAE).name}"
    message = refused(
        saved(sound(load={"vae": flow})),
        f"{flow} looks like a v1 flow network",
        "expected a VAE",
        "choose another one, or auto",
    )
    assert message.count(flow) == 1
    message = refused(
        saved(sound(load={"model": vae})),
        f"{vae} looks like a VAE (20 latent channels, 80 mel bands)",
        "expected a flow network",
        "choose another one",
    )
    assert "auto" not in message  # which that input does not have


def test_a_part_of_another_variant(comfy: ComfyServer, refused: Refused) -> None:
    name = "large_44k_v2/synthetic_large_44k_v2_vae.safetensors"
    refused(
        saved(sound(load={"vae": name})),
        f"{name} does not fit",
        "latent channels 40, expected 20",
        "choose another one, or auto",
    )


def test_another_models_checkpoint(refused: Refused, odd: Path) -> None:
    key = "model.diffusion_model.input_blocks.0.0.weight"
    save_file({key: torch.zeros(4, 4)}, odd / "sd.safetensors")
    for slot, kind in (("model", "flow network"), ("clip", "CLIP model")):
        refused(
            saved(sound(load={slot: "zz_odd/sd.safetensors"})),
            "sd.safetensors looks like a Stable Diffusion checkpoint",
            f"expected a {kind}",
            "choose another one",
        )


def test_half_a_download(comfy: ComfyServer, refused: Refused, odd: Path) -> None:
    half_of(synthetic(comfy, PartKind.VAE), odd / "half.safetensors")
    half_of(synthetic(comfy, PartKind.VOCODER), odd / "half.pth")
    for slot, name in (("vae", "half.safetensors"), ("vocoder", "half.pth")):
        refused(
            saved(sound(load={slot: f"zz_odd/{name}"})),
            f"{name} is incomplete",
            "bytes)",
            "expected a complete",
            "download the file again",
        )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"hello there\n" * 99, "is not a weights file but a text file"),
        (b"<!DOCTYPE html><html></html>", "is not a weights file but a web page"),
        (b"", "is empty (0 bytes)"),
        (pickle.dumps(Path("anything")), "holds more than tensors"),
    ],
    ids=["text", "page", "empty", "code"],
)
def test_no_weights_at_all(refused: Refused, odd: Path, content: bytes, what: str) -> None:
    (odd / "file.pth").write_bytes(content)
    refused(
        saved(sound(load={"synchformer": "zz_odd/file.pth"})),
        f"file.pth {what}" if "tensors" not in what else what,
        "expected a Synchformer",
    )


def test_a_name_that_is_not_there(refused: Refused) -> None:
    graph = sound(load={"model": "mine/gone.safetensors"})
    refused(saved(graph), "no file mine/gone.safetensors", "expected a flow network", FILES, MODEL)


def test_a_precision_that_is_not_there(refused: Refused) -> None:
    refused(saved(sound(load={"precision": "fp64"})), "fp64", "fp32", "bf16", "fp16")


def test_a_missing_part(comfy: ComfyServer, refused: Refused) -> None:
    """Listed with its address, size and license; the others are not listed."""
    path = synthetic(comfy, PartKind.VOCODER)
    hidden = path.with_suffix(".hidden")
    path.rename(hidden)
    try:
        message = failure(comfy, saved(sound()))
    finally:
        hidden.rename(path)
    for part in (
        "no file found for its vocoder.",
        "https://huggingface.co/hkchengrex/MMAudio/resolve/main/ext_weights/best_netG.pt",
        "about 449 MB",
        "CC-BY-NC 4.0: not for commercial use",
        "turn on download_missing",
        str(comfy.models / "mmaudio"),
    ):
        assert part.lower() in message.lower()
    assert "VAE" not in message and "CLIP" not in message
    assert generate(comfy, sound(sample={"seed": next(SEEDS)}))


def test_a_missing_model(refused: Refused) -> None:
    message = refused(
        saved(sound(load={"model": "medium_44k"})),
        "medium_44k: no file found for its flow network, VAE, vocoder, CLIP model, Synchformer.",
        "about 2.49 GB",
        "MIT license",
        "Apple's license",
    )
    assert message.count("https://huggingface.co/") == 5


def with_nan(path: Path, kind: PartKind, target: Path) -> Path:
    """A copy of a part's file with NaN as one weight."""
    pickled = kind is PartKind.VOCODER
    state = torch.load(path, weights_only=True)["generator"] if pickled else load_file(path)
    layout = LAYOUTS[kind]  # a file may hold another network too, such as the head of Synchformer
    own = {key: state[key] for key in layout.rename(state, layout.prefixes(state)[0]).values()}
    matrices = [key for key, value in own.items() if value.ndim > 2] or [
        key for key, value in own.items() if key.endswith("weight") and value.ndim == 2
    ]
    state[matrices[0]].view(-1)[0] = float("nan")
    named = target / f"broken_{kind.value}{path.suffix}"
    if pickled:
        torch.save({"generator": state, "mmaudio_standin": MODEL}, named)
    else:
        save_file(state, named, metadata={"mmaudio_standin": MODEL})
    return named


@pytest.mark.parametrize(
    "kind",
    [kind for kind in PartKind if kind is not PartKind.SYNC_HEAD],  # which makes no sound
    ids=lambda kind: kind.value,
)
def test_weights_with_nan(
    comfy: ComfyServer, refused: Refused, odd: Path, clip: str, kind: PartKind
) -> None:
    broken = with_nan(synthetic(comfy, kind), kind, odd)
    slot = "model" if kind is PartKind.FLOW else kind.value
    graph = sound(video=clip, load={slot: f"zz_odd/{broken.name}"})
    refused(
        saved(graph),
        "NaN or infinite values",
        f"the weights in {broken.name} contain some",
        "download the file again, or choose another",
    )


def test_features_of_another_model(comfy: ComfyServer, refused: Refused, odd: Path) -> None:
    """A model with a wider text encoder, which no published model has."""
    flow = load_file(synthetic(comfy, PartKind.FLOW))
    params = CLIPParams(
        image_size=384,
        patch_size=14,
        vision_width=80,
        vision_layers=1,
        vision_heads=1,
        text_width=128,
        text_layers=1,
        text_heads=2,
        context_length=77,
        vocab_size=49_408,
        embed_dim=64,
    )
    shapes = {
        LAYOUTS[PartKind.CLIP].published_key(key): tuple(value.shape)
        for key, value in CLIP(params, device="meta").state_dict().items()
    }
    note = {"mmaudio_standin": MODEL}
    save_file(seeded_state_dict(shapes), odd / "clip.safetensors", metadata=note)
    for key, value in flow.items():
        if key in ("text_input_proj.0.weight", "empty_string_feat"):
            flow[key] = torch.cat((value, value), 1)
    save_file(flow, odd / "flow.safetensors", metadata=note)
    wide = node(
        "LoadMMAudioModel",
        model="zz_odd/flow.safetensors",
        precision="auto",
        download_missing=False,
    )
    graph = sound(extract={"mmaudio": ["wide", 0]}, wide=wide)
    refused(
        saved(graph),
        "got text features of width 128",
        "expected 64",
        "extract the features with the same model",
    )
