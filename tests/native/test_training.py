"""LoRA by ComfyUI's own nodes on our MODEL, hooks, merged and saved models."""

from __future__ import annotations

from .conftest import Inside

EXACT = 1e-4


def test_comfyui_trains_a_lora_that_both_loaders_apply_alike(inside: Inside) -> None:
    results = inside("training")("training")
    assert "False" in results  # bypass_mode, the other, is not in every version
    for result in results.values():
        assert result["finite"], result
        assert len(result["losses"]) == 3, result
        trained = result["trained"]
        assert trained["joint_blocks"] > 10 and trained["fused_blocks"] > 5, result
        # projected once, before training: the help of MMAudioLoraLoader says so
        assert trained["clip_input_proj"] == trained["text_cond_proj"] == 0, result
        assert {"diff_b", "weight"} <= set(result["endings"]), result
        assert result["error"] < EXACT < result["effect"], result


def test_whole_changes_are_applied_as_comfyui_applies_them(inside: Inside) -> None:
    found = inside("training")("whole_tensors")
    for result in found["strengths"].values():
        assert result["error"] < EXACT < result["effect"], result
    assert "expected (64, 64, 3)" in found["said"]["shape"]
    assert "match nothing in this network" in found["said"]["name"]


def test_a_lora_follows_a_schedule_of_hooks(inside: Inside) -> None:
    found = inside("training")("hooks")
    assert found["constant"] < EXACT < found["effect"], found
    assert found["scheduled"] < EXACT < found["schedule is neither"], found
    assert found["afterwards"] < EXACT, found


def test_models_are_merged_and_saved(inside: Inside) -> None:
    found = inside("training")("merged")
    assert found["error"] < EXACT < found["effect"], found
    assert found["saved and read"] < EXACT, found
