"""MMAudioLoraLoader: a LoRA for the flow network, as patches that ComfyUI applies and removes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import folder_paths
from comfy.model_patcher import ModelPatcher
from comfy.weight_adapter import LoRAAdapter
from comfy_api.latest import io
from torch import Tensor

from ..mmaudio_core.checkpoint.lora.load import (
    Change,
    Difference,
    Replacement,
    load_lora,
    match_lora,
)
from ..mmaudio_core.errors import CheckpointError, MMAudioError, Problem
from ..mmaudio_core.file_identity import file_identity
from .comfy_model import flow_network
from .cures import Node
from .types import CATEGORY

_FOLDER = "loras"


class MMAudioLoraLoader(Node):
    """Patch a MODEL; loaders can be chained."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        names = [name.replace(os.sep, "/") for name in folder_paths.get_filename_list(_FOLDER)]
        return io.Schema(
            node_id="MMAudioLoraLoader",
            display_name="MMAudio LoRA Loader",
            category=CATEGORY,
            description="Applies a LoRA that was trained for MMAudio; loaders can be chained.",
            inputs=[
                io.Model.Input("model", tooltip="From Load MMAudio Model, or another LoRA."),
                io.Combo.Input("lora_name", options=names, tooltip="A file in models/loras."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-2.0,
                    max=2.0,
                    step=0.01,
                    tooltip="How strongly it is applied: 0 turns it off, below 0 inverts it.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model")],
        )

    @classmethod
    def fingerprint_inputs(cls, lora_name: str, **_: object) -> str:
        return str(file_identity(os.stat(_path(lora_name))))  # a training run may overwrite it

    @classmethod
    def execute(cls, model: ModelPatcher, lora_name: str, strength: float) -> io.NodeOutput:
        changes = load_lora(_path(lora_name), weight_shapes(model), flow_network(model).params)
        return io.NodeOutput(patch_model(model, changes, strength))


def weight_shapes(model: ModelPatcher) -> dict[str, tuple[int, ...]]:
    """Shapes of the flow network's weights inside a MODEL."""
    return {k: tuple(v.shape) for k, v in flow_network(model).state_dict().items()}


def match_trained(lora: Mapping[str, Tensor], model: ModelPatcher) -> dict[str, Change]:
    """What a LoRA from Train LoRA changes in a MODEL.

    Raises:
        CheckpointError: it was trained for another one, or is none that can be loaded.
    """
    try:
        return match_lora(lora, weight_shapes(model))
    except CheckpointError as error:
        if error.problem is Problem.WRONG_WEIGHTS:  # it is no file
            raise CheckpointError(str(error), Problem.WRONG_LORA) from error
        raise


def patch_model(
    model: ModelPatcher, changes: Mapping[str, Change], strength: float
) -> ModelPatcher:
    """A clone of a MODEL with the changes of a LoRA."""
    patched = model.clone()
    if strength != 0:
        shapes = weight_shapes(model)
        patches = {
            f"diffusion_model.{key}": _patch(change, shapes[key]) for key, change in changes.items()
        }
        patched.add_patches(patches, strength)
    return patched


def _path(name: str) -> Path:
    path = folder_paths.get_full_path(_FOLDER, name)
    if path is None:
        raise MMAudioError(
            f"{name} is not in models/loras: put it there, or choose another file (press R to "
            "refresh the list)"
        )
    return Path(path)


def _patch(change: Change, shape: Sequence[int]) -> Any:
    """ComfyUI's form of a change; ComfyUI divides alpha by the rank."""
    if isinstance(change, Replacement):
        return "set", (change.value.reshape(tuple(shape)),)
    if isinstance(change, Difference):
        return "diff", (change.delta(shape),)
    alpha = change.scale * change.down.shape[0]
    return LoRAAdapter(set(), (change.up, change.down, alpha, None, None, None))
