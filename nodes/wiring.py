"""What the links of a node alone show to be wrong, for ``validate_inputs``: before anything runs.

``input_types`` holds the type that each linked input receives. Every function returns what is
wrong and what to do about it, or None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io
from comfy_execution.validation import validate_node_input

from .footage import BOTH_PICTURES, MASK_ALONE, NO_PICTURE

InputTypes = Mapping[str, Any]


def has_picture(input_types: InputTypes) -> bool:
    """Whether a video or images are connected."""
    return "video" in input_types or "images" in input_types


def two_pictures(input_types: InputTypes) -> str | None:
    """Both a video and images are connected."""
    return BOTH_PICTURES if "video" in input_types and "images" in input_types else None


def no_picture(input_types: InputTypes) -> str | None:
    """Neither a video nor images are connected."""
    return None if has_picture(input_types) else NO_PICTURE


def mask_without_picture(input_types: InputTypes) -> str | None:
    """A mask is connected, but no picture for it to hide."""
    return MASK_ALONE if "mask" in input_types and not has_picture(input_types) else None


def wrong_type(node: type[io.ComfyNode], input_types: InputTypes) -> str | None:
    """A link of another type; ComfyUI leaves this to whoever asks for ``input_types``."""
    for name, received in input_types.items():
        expected = _input(node, name)[0]
        if not validate_node_input(received, expected):
            return f"{name}: got a link of type {received}, expected {expected}. Connect another."
    return None


def out_of_bounds(node: type[io.ComfyNode], name: str, value: float | None) -> str | None:
    """A constant beyond its widget's bounds; None stands for a linked input."""
    if value is None:
        return None
    bounds = _input(node, name)[1]
    if bounds["min"] <= value <= bounds["max"]:  # False for NaN
        return None
    return f"{name}: got {value:g}, expected {bounds['min']:g} to {bounds['max']:g}."


def _input(node: type[io.ComfyNode], name: str) -> tuple[Any, ...]:
    """Type and options of an input, as ComfyUI's own checks see them."""
    groups = node.INPUT_TYPES()
    return groups.get("required", {}).get(name) or groups["optional"][name]
