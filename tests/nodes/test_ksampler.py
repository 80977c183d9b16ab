"""ComfyUI's own sampler nodes on the model, through a real ComfyUI."""

from __future__ import annotations

import numpy as np

from dev.server import ComfyServer
from tests.nodes.graphs import STEP, Graph, generate, node, paths, read_audio, run, sound

SEED, STEPS, CFG = 11, 25, 4.5


def by_ksampler(clip: str, **inputs: object) -> Graph:
    """The sound of KSampler and MMAudioDecode."""
    graph = sound(video=clip, extract={"duration": 1.0})
    del graph["sample"]
    settings = {
        "seed": SEED,
        "steps": STEPS,
        "cfg": CFG,
        "sampler_name": "euler",
        "scheduler": "simple",
        "denoise": 1.0,
    }
    ends = {
        "model": ["load", 1],
        "positive": ["extract", 1],
        "negative": ["extract", 2],
        "latent_image": ["extract", 3],
    }
    return graph | {
        "ksampler": node("KSampler", **{**settings, **ends, **inputs}),
        "decode": node("MMAudioDecode", mmaudio=["load", 0], samples=["ksampler", 0]),
        "save": node("SaveAudio", audio=["decode", 0], filename_prefix="test/ksampler"),
    }


def heard_by_ksampler(server: ComfyServer, graph: Graph) -> np.ndarray:
    (path,) = paths(server, run(server, graph))
    return read_audio(path)[0]


def test_it_makes_the_sound_of_mmaudio_sampler(comfy: ComfyServer, clip: str) -> None:
    own = {"seed": SEED, "steps": STEPS, "cfg": CFG}
    (expected,) = generate(comfy, sound(video=clip, extract={"duration": 1.0}, sample=own))
    got = heard_by_ksampler(comfy, by_ksampler(clip))
    assert got.shape == expected.shape
    error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    assert error < 1e-3 + STEP


def test_audio_to_audio(comfy: ComfyServer, clip: str) -> None:
    """Encoding a result and sampling with denoise 0.5 changes it and keeps its length."""
    graph = by_ksampler(clip)
    encode = node("MMAudioEncode", mmaudio=["load", 0], audio=["decode", 0], duration=1.0)
    second = dict(graph["ksampler"]["inputs"], latent_image=["encode", 0], denoise=0.5, seed=3)
    graph |= {
        "encode": encode,
        "again": node("KSampler", **second),
        "decode_again": node("MMAudioDecode", mmaudio=["load", 0], samples=["again", 0]),
    }
    graph["save"]["inputs"]["audio"] = ["decode_again", 0]
    got = heard_by_ksampler(comfy, graph)
    first = heard_by_ksampler(comfy, by_ksampler(clip))
    assert got.shape == first.shape == (16_000,)
    assert float(np.abs(got - first).max()) > 0.01
