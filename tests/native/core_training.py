"""For the cases: runs of ComfyUI's Train LoRA. Imported inside ComfyUI only."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from torch import Tensor


def inputs() -> dict[str, Any]:
    """Inputs of Train LoRA in this version, with their defaults."""
    nodes = importlib.import_module("comfy_extras.nodes_train")
    schema = nodes.TrainLoraNode.define_schema()
    return {i.id: getattr(i, "default", None) for i in schema.inputs}


def train(
    model: Any, latents: Sequence[Any], positive: Sequence[Any], **others: Any
) -> tuple[dict[str, Tensor], list[float]]:
    """The LoRA and the loss of each step, in float32 unless told otherwise.

    Args:
        model: a MODEL.
        latents, positive: the lists that the node gets.
        others: values of its other inputs; those that it lacks in this version are left out.
    """
    nodes = importlib.import_module("comfy_extras.nodes_train")
    asked = inputs()
    asked |= {"rank": 2, "training_dtype": "fp32", "lora_dtype": "fp32"}
    asked |= {name: value for name, value in others.items() if name in asked}
    lists = {name: [value] for name, value in asked.items()}
    lists |= {"model": [model], "latents": list(latents), "positive": list(positive)}
    outputs = nodes.TrainLoraNode.execute(**lists).args
    # 0.8.0 returns the model first
    lora, losses = (outputs[0], outputs[1]) if isinstance(outputs[0], dict) else outputs[1:3]
    return lora, losses["loss"]
