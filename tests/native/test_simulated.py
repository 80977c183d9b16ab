"""Devices and bytes on simulated CUDA devices; no values, no speed. See ``simulated_gpu``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Inside
from .inside import Results

KINDS = ("flow", "vae", "vocoder", "clip", "synchformer", "sync_head")
PRECISIONS = ("auto", "fp32", "fp8_e4m3fn")


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
        assert one["loaded"] == [1, 0], name
        assert one["mixed"] == [], name
        assert set(one["non_blocking"]) <= {"cpu>cuda"}, name


def test_weights_are_staged_as_they_are_stored(simulated: Results) -> None:
    """Byte for byte, in whole KiB for each tensor, whatever dtype the layer computes in."""
    found = simulated("precisions")
    for name, one in found.items():
        assert one["staged"] == one["stored"]["paged in whole KiB"], name
        most = 1 if name.endswith("sync_head") else 3  # its small layers are 16 KiB and less
        assert one["stored"]["paged"] > most * one["stored"]["at once"], name
    # nearly all of this small CLIP is the embedding of its tokens, which stays in half precision
    for kind, part in {"flow": 0.5, "synchformer": 0.5, "sync_head": 0.5, "clip": 0.98}.items():
        fp8, half = (found[f"{precision} {kind}"] for precision in ("fp8_e4m3fn", "auto"))
        assert "torch.float8_e4m3fn" in fp8["dtypes"], kind
        assert fp8["stored"]["paged"] < part * half["stored"]["paged"], kind
    for kind in ("vae", "vocoder"):
        assert found[f"fp8_e4m3fn {kind}"]["dtypes"] == ["torch.float32"], kind


def test_networks_attend_by_comfyuis_kernels(simulated: Results) -> None:
    for name, one in simulated("precisions").items():
        kind = name.split()[1]
        expected = {"vae": {"VAE"}, "vocoder": set()}.get(kind, {"network"})
        assert set(one["attention"]) == expected, name
        assert all(one["attention"].values()), name


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
