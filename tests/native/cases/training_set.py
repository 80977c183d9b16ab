"""MMAudioTrainingSet: a folder and lists, and ComfyUI's Train LoRA on what comes out of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import core_training
import folder_paths
import numpy as np
import tiny
import torch
from comfy_api.input_impl import VideoFromComponents, VideoFromFile
from comfy_api.util import VideoComponents
from mmaudio_pack.mmaudio_core.checkpoint.lora.load import match_lora
from mmaudio_pack.nodes.conditioning import CLIP, SYNC, to_conditioning
from mmaudio_pack.nodes.latents import empty_latent
from mmaudio_pack.nodes.lora import weight_shapes
from mmaudio_pack.nodes.training_objective import MMAudioTrainingObjective
from mmaudio_pack.nodes.training_set import MMAudioTrainingSet
from mmaudio_pack.nodes.training_sources import folder_names
from torch import Tensor

RATE = 16_000
NETWORKS = tiny.networks()
INPUT = Path(folder_paths.get_input_directory())


def wave(seconds: float, hertz: float) -> Tensor:
    time = torch.arange(round(seconds * RATE)) / RATE
    return 0.2 * torch.sin(2 * torch.pi * hertz * time)[None]


def write(path: Path, sound: Tensor | None, frames: int = 0) -> None:
    """A film or a sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "flac" if path.suffix == ".flac" else "pcm_s16le"
    with av.open(path, "w") as output:
        picture = output.add_stream("libx264", rate=25) if frames else None
        track = None if sound is None else output.add_stream(codec, rate=RATE, layout="mono")
        if picture is not None:
            picture.width = picture.height = 64
            for number in range(frames):
                image = np.full((64, 64, 3), 40 + 3 * number % 200, np.uint8)
                image[..., 0] = 0
                output.mux(picture.encode(av.VideoFrame.from_ndarray(image)))
            output.mux(picture.encode(None))
        if track is not None and sound is not None:
            pcm = (sound.numpy() * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(pcm, "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            output.mux([*track.encode(frame), *track.encode(None)])


write(INPUT / "steps" / "gravel_01.mkv", wave(2.2, 300), 55)
write(INPUT / "steps" / "wood_02.mkv", wave(1.2, 500), 30)
write(INPUT / "steps" / "bell.flac", wave(1, 700))
write(INPUT / "steps" / "again.flac", wave(1, 700))
write(INPUT / "steps" / "mute.mkv", None, 30)
(INPUT / "steps" / "bell.txt").write_text("a small bell")
(INPUT / "steps" / "broken.mp4").write_bytes(b"nothing")


def make(**others: Any) -> dict[str, Any]:
    """The node's outputs by name."""
    asked: dict[str, Any] = {
        "mmaudio": NETWORKS,
        "folder": "none",
        "piece_seconds": 1.0,
        "overlap": 0.0,
        "held_out": 0.3,
        "copies": 2,
        "drop_picture": 0.0,
        "drop_text": 0.0,
        "seed": 3,
    } | others
    lists = {name: v if isinstance(v, list) else [v] for name, v in asked.items()}
    output = MMAudioTrainingSet.execute(**lists)
    names = [o.display_name for o in MMAudioTrainingSet.define_schema().outputs]
    return dict(zip(names, output.args, strict=True)) | {"notices": output.ui["text"]}


def kinds(positive: list[Any]) -> list[list[bool]]:
    """Whether each condition has a picture, a sync picture, and a text of its own."""
    empty = NETWORKS.model.model.diffusion_model.empty_text(1)
    return [
        [
            c[0][1].get(CLIP) is not None,
            c[0][1].get(SYNC) is not None,
            not torch.equal(c[0][0], empty),
        ]
        for c in positive
    ]


def sounds_alone() -> dict[str, Any]:
    return make(sounds=[{"waveform": wave(1, 700)[None], "sample_rate": RATE}], copies=1)


def colorful(preview: Tensor) -> float:
    """The share of green: the films are, spectrograms and words are not."""
    red, green, _ = preview[0].unbind(-1)
    return float((green > red + 0.2).float().mean())


def case_folder() -> dict[str, Any]:
    made = make(folder="steps")
    again = make(folder="steps")
    stored = Path(folder_paths.get_user_directory(), "mmaudio", "features")
    return {
        "folders": folder_names(),
        "shapes": [list(latent["samples"].shape) for latent in made["latents"]],
        "kinds": kinds(made["positive"]),
        "report": made["report"],
        "preview": list(made["preview"].shape),
        "colorful": colorful(made["preview"]),
        "colorful, sounds alone": colorful(sounds_alone()["preview"]),
        "notices": made["notices"],
        "held out": sorted({p.recording for p in made["training_set"].held_out}),
        "same": all(
            torch.equal(a["samples"], b["samples"])
            for a, b in zip(made["latents"], again["latents"], strict=True)
        ),
        "on disk": len(list(stored.rglob("*.safetensors"))),
        "dropped": kinds(make(folder="steps", drop_picture=1.0)["positive"]),
        "without text": kinds(make(folder="steps", drop_text=1.0)["positive"]),
    }


def case_lists() -> dict[str, Any]:
    film = VideoFromFile(str(INPUT / "steps" / "gravel_01.mkv"))
    parts = VideoComponents(
        images=torch.rand(30, 64, 64, 3),
        frame_rate=Fraction(25),
        audio={"waveform": wave(1.2, 900)[None], "sample_rate": RATE},
    )
    sounds = [{"waveform": wave(1, hertz)[None], "sample_rate": RATE} for hertz in (200, 400)]
    made = make(
        videos=[film, VideoFromComponents(parts)],
        sounds=sounds,
        captions=["one\ntwo\nthree", "four"],
        held_out=0.0,
        copies=1,
    )
    said: dict[str, str] = {}
    for name, wrong in {
        "captions": {"sounds": sounds, "captions": ["a\nb\nc"]},
        "folder": {"folder": "../steps"},
        "absolute": {"folder": str(INPUT / "steps")},
        "nothing": {"sounds": [{"waveform": torch.zeros(1, 1, RATE), "sample_rate": RATE}]},
        "seconds": {"sounds": sounds, "piece_seconds": 20.0},
        "overlap": {"sounds": sounds, "overlap": 1.0},
    }.items():
        try:
            make(**wrong)
        except ValueError as error:
            said[name] = str(error)
    sounds[0]["waveform"] = sounds[0]["waveform"] / 8
    sounds[0]["waveform"][..., RATE // 2] = 1.0  # a click
    long = make(sounds=sounds, captions=["thunder " * 80], loudness="-16 LUFS", held_out=0.0)
    return {
        "long": long["notices"],
        "report of long": long["report"],
        "kinds": kinds(made["positive"]),
        "captions": [p.caption for p in made["training_set"].training],
        "notices": made["notices"],
        "said": said,
    }


def case_training() -> dict[str, Any]:
    """ComfyUI's trainer takes the lists; losses of each way that it can run."""
    made = make(folder="steps")
    model = MMAudioTrainingObjective.execute(NETWORKS.model).args[0]
    results: dict[str, Any] = {}
    ways: dict[str, dict[str, Any]] = {
        "plain": {"gradient_checkpointing": False},
        "checkpointing, bf16": {"training_dtype": "bf16", "lora_dtype": "bf16"},
        "batch of 2": {"batch_size": 2},
    }
    if "bypass_mode" in core_training.inputs():
        ways["bypass"] = {"bypass_mode": True, "gradient_checkpointing": False}
    for name, way in ways.items():
        lora, losses = core_training.train(
            model, made["latents"], made["positive"], steps=2, learning_rate=0.001, **way
        )
        results[name] = {
            "losses": losses,
            "changed": sum(bool(v.any()) for k, v in lora.items() if "down" in k),
        }
    single = sounds_alone()
    _, losses = core_training.train(model, single["latents"], single["positive"], steps=1)
    results["one example"] = {"losses": losses, "changed": 1}
    return results


def case_variants() -> dict[str, Any]:
    """Losses of every layout and precision, on conditions of the right widths."""
    results: dict[str, Any] = {}
    for variant in ("small_16k", "small_44k", "large_44k_v2"):
        for precision in ("fp32", "bf16", "fp8_e4m3fn"):
            networks = tiny.networks(variant, precision)
            of = tiny.features(networks.params)
            start = empty_latent(of.duration, networks.params.audio)
            draw = torch.Generator().manual_seed(1)
            start["samples"] = torch.randn(start["samples"].shape, generator=draw)
            ways: dict[str, Any] = {"training_dtype": "fp32" if precision == "fp32" else "bf16"}
            if precision == "fp8_e4m3fn":
                ways |= {"bypass_mode": True, "gradient_checkpointing": False}
            lora, losses = core_training.train(
                MMAudioTrainingObjective.execute(networks.model).args[0],
                [start],
                [to_conditioning(of)[0]],
                steps=2,
                learning_rate=0.001,
                **ways,
            )
            changes = match_lora(lora, weight_shapes(networks.model))
            results[f"{variant} {precision}"] = {
                "losses": losses,
                "changed": sum(bool(v.any()) for k, v in lora.items() if "down" in k),
                "known": len(changes),
            }
    return results
