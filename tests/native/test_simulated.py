"""Devices and bytes on simulated CUDA devices; no values, no speed. See ``simulated_gpu``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Inside
from .inside import Results

KINDS = ("flow", "vae", "vocoder", "clip", "synchformer")
PRECISIONS = ("auto", "fp32", "fp8_e4m3fn")
ALIGNMENT = 512  # bytes, of every staged tensor


@pytest.fixture
def simulated(inside: Inside, comfy_path: Path) -> Results:
    if not (comfy_path / "comfy_extras" / "nodes_multigpu.py").exists():
        pytest.skip("ComfyUI 0.8.0 has no dynamic memory manager and no MultiGPU nodes")
    return inside("simulated")


def test_all_networks_run_and_run_again_after_unloading(simulated: Results) -> None:
    found: dict[str, Any] = simulated("precisions")
    assert set(found) == {f"{p} {k}" for p in PRECISIONS for k in KINDS}
    for name, one in found.items():
        assert one["class"] == "ModelPatcherDynamic", name
        assert one["devices"] == ["cuda:0", "cuda:0"], name
        assert one["mixed"] == [], name
        assert set(one["non_blocking"]) <= {"cpu>cuda"}, name


def test_weights_are_staged_as_they_are_stored(simulated: Results) -> None:
    found = simulated("precisions")
    for name, one in found.items():
        stored = one["stored"]["bytes"]
        # small layers are loaded at once and not staged
        assert 0.7 * stored < one["staged"] < stored + ALIGNMENT * one["stored"]["count"], name
    assert "torch.float8_e4m3fn" in found["fp8_e4m3fn flow"]["dtypes"]
    # 0.41; 0.45 where weight_comfy_model_dtype is not set, and some layers are staged in bf16
    assert found["fp8_e4m3fn flow"]["staged"] < 0.43 * found["auto flow"]["staged"]


def test_clones_leave_dynamic_memory(simulated: Results) -> None:
    found = simulated("clones")
    assert found["disable_dynamic"]["class"] == found["compiled"]["class"] == "ModelPatcher"
    assert found["force_deepcopy"]["class"] == "ModelPatcherDynamic"
    assert all(clone["own weights"] for clone in found.values())


def test_networks_run_on_the_device_that_nodes_choose(simulated: Results) -> None:
    """MultiGPU CFG Split and Select Model Device."""
    found = simulated("two_devices")
    for name in ("split", "selected"):
        assert found[name] == {
            "load device": "cuda:1",
            "output": "cuda:1",
            "own weights": True,
            "mixed": [],
        }
    assert found["conditions"] == ["cuda:1"]
