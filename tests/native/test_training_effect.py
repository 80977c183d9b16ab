"""A LoRA that ComfyUI's trainer made of our data does what it should.

The suite trains a few steps of one seed. With ``TRAINING_STEPS=100 TRAINING_SEEDS=1,2,3
TRAINING_DRAWS=8`` in the environment, the cases give the figures of ``docs/training.md``.
"""

from __future__ import annotations

import pytest

from .conftest import Inside

EXACT = 1e-4
pytestmark = pytest.mark.newest  # test_training has ComfyUI's trainer and loaders in each version


def test_training_lowers_the_loss_of_the_other_half_too(inside: Inside) -> None:
    found = inside("training_effect")("effect")
    assert found["pieces"] == [6, 6]
    for name in (name for name in found if name.startswith("right")):
        right, wrong = found[name], found[name.replace("right", "wrong")]
        assert set(right) == {"learned", "held out", "distance, learned", "distance, held out"}
        for error in right.values():
            assert error[0] > error[1] > 0 and error[2] < 0.8 * error[0], found
        # pictures and captions of other recordings teach less
        assert right["held out"][2] < wrong["held out"][2], found


def test_a_saved_lora_is_the_same_in_both_loaders(inside: Inside) -> None:
    found = inside("training_effect")("saved")
    assert found["ours"] < EXACT and found["core's"] < EXACT < found["effect"], found
    first, second = found["names"]
    steps = found["metadata"]["mmaudio_steps"]
    assert first == f"steps_{steps}_steps_00001_.safetensors"
    assert second == f"steps_{steps}_steps_00002_.safetensors"
    assert found["metadata"]["mmaudio_rank"] == "4"
    assert found["metadata"]["mmaudio_data"] == "halves"
    assert "not for commercial use" in found["metadata"]["license"]
    assert "was trained for a v1 network of width 64" in found["said"]["loaded"]
    assert "got a model that is a v2 network of width 64" in found["said"]["loaded"]
    assert "made for another variant" in found["said"]["saved"]
    assert "holds NaN or infinite values" in found["said"]["no numbers"]
    assert "lower learning_rate" in found["said"]["no numbers"]
    assert "parts of LoKr" in found["said"]["another algorithm"]
    assert "Choose the algorithm LoRA in Train LoRA" in found["said"]["another algorithm"]


def test_training_goes_on_from_a_file(inside: Inside) -> None:
    found = inside("training_effect")("continued")
    assert found["after"]["held out"][2] < found["before"]["held out"][2], found
    # ComfyUI's trainer reads the matrices from the file, and begins anew with biases and norms
    trained, changed = found["trained"], found["changed"]
    assert min(trained.values()) > 1e-3, found
    assert max(changed[".lora_up."], changed[".lora_down."]) < 1e-5, found
    assert changed[".diff"] == pytest.approx(trained[".diff"], rel=1e-3), found


def test_an_evaluation_is_heard_and_read(inside: Inside) -> None:
    found = inside("training_effect")("heard")
    assert found["shape"] == [3, 1, 16000]
    assert found["seeds"] == [5, 5, 5]
    assert found["differ"] > 0.1
    assert "it learned the sound" in found["report"]
    last = found["report"].splitlines()[3].split()
    assert float(last[1]) == pytest.approx(found["loss"], abs=1e-3)
    assert "nothing was held out" in found["nothing held out"]
