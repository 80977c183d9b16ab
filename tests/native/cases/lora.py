"""MMAudioLoraLoader on a tiny MODEL, compared with a network that has the changes merged in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
import lora_files
import tiny
import torch
from mmaudio_pack.nodes.lora import MMAudioLoraLoader
from torch import Tensor

FOLDER = Path("loras").absolute()
folder_paths.add_model_folder_path("loras", str(FOLDER))

FEATURES = tiny.features(tiny.networks().params)
MODEL = tiny.networks().model
SHAPES = {k: tuple(v.shape) for k, v in MODEL.model.diffusion_model.state_dict().items()}
FORMATS = lora_files.formats(SHAPES)
for _name, _file in FORMATS.items():
    _file.write(FOLDER / _name, _name)


def patched(name: str, strength: float = 1.0, model: Any = MODEL) -> Any:
    file = f"{name}/{name}{FORMATS[name].ending}"
    return MMAudioLoraLoader.execute(model, file, strength).args[0]


def merged(*changes: tuple[str, float]) -> Any:
    """A new MODEL with the changes of those files merged into its weights."""
    model = tiny.networks.__wrapped__().model
    weights = model.model.diffusion_model.state_dict()
    for name, strength in changes:
        for key, delta in FORMATS[name].deltas.items():
            weights[key] += strength * delta
    return model


def weights() -> dict[str, Tensor]:
    return {k: v.clone() for k, v in MODEL.model.diffusion_model.state_dict().items()}


def sample(model: Any) -> Tensor:
    return tiny.sample(model, FEATURES)


PLAIN = sample(MODEL)


def case_equals_the_merged_network() -> dict[str, Any]:
    """Relative error and effect of every format at strength 1."""
    results: dict[str, Any] = {}
    for name in FORMATS:
        got = sample(patched(name))
        results[name] = {
            "error": tiny.relative_error(got, sample(merged((name, 1.0)))),
            "effect": tiny.relative_error(got, PLAIN),
        }
    return results


def case_strengths() -> dict[str, float]:
    """Relative errors of other strengths, and of two files one after the other."""
    stacked = patched("kohya", 0.7, patched("diffusers_apart", -1.5))
    return {
        "minus": tiny.relative_error(sample(patched("peft", -2.0)), sample(merged(("peft", -2.0)))),
        "stacked": tiny.relative_error(
            sample(stacked), sample(merged(("kohya", 0.7), ("diffusers_apart", -1.5)))
        ),
        "twice": tiny.relative_error(
            sample(patched("peft", 0.5, patched("peft", 0.5))), sample(merged(("peft", 1.0)))
        ),
    }


def case_nothing_changes() -> dict[str, bool]:
    """Strength 0, and the plain MODEL after a patched one was unloaded."""
    sample(MODEL)
    before = weights()
    at_zero = sample(patched("kohya", 0.0))
    loaded = patched("kohya")
    zero = MODEL.clone()  # as ComfyUI's own patches of strength 0
    zero.add_patches({key: found[0][1] for key, found in loaded.patches.items()}, 0.0)
    at_native_zero = sample(zero)
    sample(loaded)
    while_patched = weights()
    after = sample(MODEL)
    restored = weights()
    return {
        "at zero": torch.equal(at_zero, PLAIN),
        "at ComfyUI's zero": torch.equal(at_native_zero, PLAIN),
        "patches differ": any(not torch.equal(before[k], while_patched[k]) for k in before),
        "sampled again": torch.equal(after, PLAIN),
        "weights restored": all(torch.equal(before[k], restored[k]) for k in before),
        "own patches": not MODEL.patches,
    }


def case_names() -> list[str]:
    (choice,) = [i for i in MMAudioLoraLoader.define_schema().inputs if i.id == "lora_name"]
    return sorted(choice.options)


def case_errors() -> dict[str, str]:
    errors: dict[str, str] = {}
    wide = lora_files.formats({k: [2 * n for n in s] for k, s in SHAPES.items()})["peft"]
    foreign = lora_files.LoraFile(tensors={"blocks.0.lora_up.weight": torch.zeros(4, 4)})
    for name, lora in {"wide": wide, "foreign": foreign}.items():
        lora.write(FOLDER / name, name)
        try:
            MMAudioLoraLoader.execute(MODEL, f"{name}/{name}.safetensors", 1.0)
        except ValueError as error:
            errors[name] = str(error)

    class Other:
        model = object()

    try:
        MMAudioLoraLoader.execute(Other(), "peft/peft.safetensors", 1.0)
    except ValueError as error:
        errors["model"] = str(error)
    return errors
