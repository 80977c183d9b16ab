"""Half precision in a real ComfyUI: finite, and close to float32."""

from __future__ import annotations

import numpy as np
import pytest

from dev.server import ComfyServer
from mmaudio_core.providers import fast_bf16_cpu
from tests.nodes.graphs import MODEL, generate, same, sound

# Relative L2 errors. Each network's own error (1.4% in bf16) grows: guidance triples it, and the
# synthetic vocoder, whose weights are random, makes it five times larger.
CLOSE = {"fp16": 0.05, "bf16": 0.25}


def take(comfy: ComfyServer, clip: str, model: str, precision: str) -> np.ndarray:
    graph = sound(
        video=clip,
        load={"model": model, "precision": precision},
        extract={"duration": 1.0},
        sample={"steps": 4},
    )
    return generate(comfy, graph)[0]


@pytest.fixture(scope="module", params=[MODEL, "large_44k_v2"])
def model(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def exact(comfy: ComfyServer, clip: str, model: str) -> np.ndarray:
    return take(comfy, clip, model, "fp32")


def test_auto_is_the_fastest_on_this_cpu(
    comfy: ComfyServer, clip: str, model: str, exact: np.ndarray
) -> None:
    got = take(comfy, clip, model, "auto")
    if not fast_bf16_cpu():
        assert same(got, exact)
        return
    error = float(np.linalg.norm(got - exact) / np.linalg.norm(exact))
    assert 0 < error < CLOSE["bf16"], error


@pytest.mark.parametrize("precision", CLOSE)
def test_half_precision(
    comfy: ComfyServer, clip: str, model: str, exact: np.ndarray, precision: str
) -> None:
    half = take(comfy, clip, model, precision)
    error = float(np.linalg.norm(half - exact) / np.linalg.norm(exact))
    assert 0 < error < CLOSE[precision], error
