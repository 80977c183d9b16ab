"""MMAudioLoraLoader and MMAudioGuider in a graph of ComfyUI's own sampling nodes."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.torch import load_file

from dev.server import ComfyServer
from tests.native.lora_files import formats

from .graphs import MODEL, Graph, failure, generate, node, same, saved, sound

_NAME = "mine/kohya.safetensors"


@pytest.fixture(scope="module")
def lora(comfy: ComfyServer) -> str:
    """The name of a LoRA for the synthetic model."""
    (flow,) = (comfy.models / "mmaudio" / MODEL).glob("*_flow.safetensors")
    shapes = {key: tuple(value.shape) for key, value in load_file(flow).items()}
    formats(shapes)["kohya"].write(comfy.models / "loras" / "mine", "kohya")
    return _NAME


def graph(name: str, strength: float, *, text: float = 4.5, video: float = 4.5) -> Graph:
    """Nodes ``lora``, then MMAudioSampler's ``sample``, and ``decode`` of the guider's."""
    patched = ["lora", 0]
    return sound(
        sample={"model": patched},
        lora=node("MMAudioLoraLoader", model=["load", 1], lora_name=name, strength=strength),
        guider=node(
            "MMAudioGuider",
            model=patched,
            positive=["extract", 1],
            negative=["extract", 2],
            text_strength=text,
            video_strength=video,
        ),
        noise=node("RandomNoise", noise_seed=1),
        euler=node("KSamplerSelect", sampler_name="euler"),
        sigmas=node("MMAudioScheduler", model=patched, steps=1, denoise=1.0),
        latents=node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["euler", 0],
            sigmas=["sigmas", 0],
            latent_image=["extract", 3],
        ),
        decode=node("MMAudioDecode", mmaudio=["load", 0], samples=["latents", 0]),
    )


def take(server: ComfyServer, graph: Graph, source: str) -> np.ndarray:
    kept = {**graph, "sample": graph["decode"]} if source == "decode" else graph
    (got,) = generate(server, kept)
    return got


def test_equal_strengths_are_the_sampler_with_that_cfg(comfy: ComfyServer, lora: str) -> None:
    made = graph(lora, 1.0)
    by_guider, by_sampler = take(comfy, made, "decode"), take(comfy, made, "sample")
    assert same(by_guider, by_sampler)
    (plain,) = generate(comfy, sound())
    assert not same(by_sampler, plain)
    assert not same(take(comfy, graph(lora, 1.0, text=9.0), "decode"), by_guider)


def test_a_lora_at_zero_changes_nothing(comfy: ComfyServer, lora: str) -> None:
    (plain,) = generate(comfy, sound())
    assert np.array_equal(take(comfy, graph(lora, 0.0), "sample"), plain)


def test_a_missing_lora_is_refused(comfy: ComfyServer, lora: str) -> None:
    message = failure(comfy, saved(graph("mine/other.safetensors", 1.0)))
    assert "mine/other.safetensors" in message
