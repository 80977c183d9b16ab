"""What the inputs of a node carry, checked in one place before any node runs.

ComfyUI compares the types that nodes declare and takes their word for the values. A wildcard, a
switch or a mistaken node delivers anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..mmaudio_core.config import plain_number
from ..mmaudio_core.errors import MMAudioError, describe
from ..mmaudio_core.features.types import Features, TextFeatures, VisualFeatures
from ..mmaudio_core.training.dataset import TrainingSet
from .types import (
    LoraModel,
    MMAudio,
    MMAudioFeatures,
    MMAudioText,
    MMAudioTraining,
    MMAudioVisual,
)

# Combos of file names: whoever opens the file says which there are.
_FILES = frozenset({"model", "vae", "vocoder", "clip", "synchformer", "lora_name", "folder"})
_LISTED = 12  # choices that a message names


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """Values of a socket type.

    Attributes:
        accepts: whether a value is one.
        expected: what it is called.
        connect: what the user should do.
    """

    accepts: Callable[[Any], bool]
    expected: str
    connect: str


def _is_video(value: Any) -> bool:
    return hasattr(value, "get_components") and hasattr(value, "get_stream_source")


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _is_latent(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("samples"), Tensor)


def _is_model(value: Any) -> bool:
    return hasattr(value, "model") and hasattr(value, "clone")


def _are_networks(value: Any) -> bool:
    return hasattr(value, "acquire") and hasattr(value, "params")


def _is_conditioning(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(item, (list, tuple))
            and len(item) == 2
            and isinstance(item[0], Tensor)
            and isinstance(item[1], Mapping)
            for item in value
        )
    )


def _is_lora(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_is_tensor(tensor) for tensor in value.values())


def _instances(kind: type, expected: str, connect: str) -> _Kind:
    return _Kind(accepts=lambda v: isinstance(v, kind), expected=expected, connect=connect)


_KINDS = {
    io.Video.io_type: _Kind(
        accepts=_is_video,
        expected="a VIDEO",
        connect="Connect Load Video or Create Video.",
    ),
    io.Image.io_type: _Kind(
        accepts=_is_tensor,
        expected="an IMAGE, a tensor of shape (frames, height, width, channels)",
        connect="Connect an IMAGE as a node of ComfyUI makes it.",
    ),
    io.Mask.io_type: _Kind(
        accepts=_is_tensor,
        expected="a MASK, a tensor of shape (masks, height, width)",
        connect="Connect a MASK as a node of ComfyUI makes it.",
    ),
    io.Latent.io_type: _Kind(
        accepts=_is_latent,
        expected="a LATENT, a dict with samples",
        connect="Connect a latent made by an MMAudio node.",
    ),
    io.Model.io_type: _Kind(
        accepts=_is_model,
        expected="a MODEL",
        connect="Connect the model output of Load MMAudio Model.",
    ),
    io.Conditioning.io_type: _Kind(
        accepts=_is_conditioning,
        expected="a CONDITIONING",
        connect="Connect positive and negative of MMAudio Feature Extract.",
    ),
    MMAudio.io_type: _Kind(
        accepts=_are_networks,
        expected="the networks of a model",
        connect="Connect the mmaudio output of Load MMAudio Model.",
    ),
    MMAudioTraining.io_type: _instances(
        TrainingSet, "a training set", "Connect MMAudio Training Set."
    ),
    LoraModel.io_type: _Kind(
        accepts=_is_lora,
        expected="a trained LoRA",
        connect="Connect the lora of Train LoRA.",
    ),
    MMAudioFeatures.io_type: _instances(
        Features, "features", "Connect the features of MMAudio Feature Extract."
    ),
    MMAudioVisual.io_type: _instances(
        VisualFeatures, "visual features", "Connect MMAudio Visual Features."
    ),
    MMAudioText.io_type: _instances(
        TextFeatures, "text features", "Connect MMAudio Text Features."
    ),
    io.String.io_type: _instances(str, "a text", "Connect a STRING, or type the text."),
}
"""AUDIO and video_info are missing here: reading them finds what they are."""


def check_values(node: type[io.ComfyNode], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a node's inputs, numbers as the type that the input has.

    A node that takes lists gets a list for every input.

    Raises:
        MMAudioError: a value of another kind than the input's.
    """
    schema = node.SCHEMA or node.GET_SCHEMA()
    inputs = {input.id: input for input in schema.inputs}
    if schema.is_input_list:
        return {
            name: [_checked(inputs.get(name), name, value) for value in several]
            for name, several in values.items()
        }
    return {name: _checked(inputs.get(name), name, value) for name, value in values.items()}


def _checked(input: Any, name: str, value: Any) -> Any:
    if input is None or (value is None and input.optional and not hasattr(input, "default")):
        return value
    kind = input.get_io_type()
    if kind in (io.Int.io_type, io.Float.io_type, io.Boolean.io_type):
        return _number(input, kind, name, value)
    if kind == io.Combo.io_type:
        _check_choice(input, name, value)
    elif kind in _KINDS and not _KINDS[kind].accepts(value):
        expected, connect = _KINDS[kind].expected, _KINDS[kind].connect
        raise MMAudioError(f"{name}: got {describe(value)}, expected {expected}. {connect}")
    return value


def _number(input: Any, kind: str, name: str, value: Any) -> bool | int | float:
    """A number within the bounds of its widget, which ComfyUI checks for constants only."""
    number = plain_number(value)
    if kind == io.Boolean.io_type:
        expected = "true or false"
        if isinstance(number, (bool, int, float)):
            return bool(number)
    else:
        whole = kind == io.Int.io_type
        bounds = f"{input.min:g} to {input.max:g}"
        expected = f"a {'whole number' if whole else 'number'} from {bounds}"
        fits = isinstance(number, (bool, int, float)) and input.min <= number <= input.max
        if fits and not whole:  # not NaN, which compares false
            return number
        if fits and (not isinstance(number, float) or number.is_integer()):
            return int(number)
    raise MMAudioError(
        f"{name}: got {describe(value)}, expected {expected}. Connect "
        f"another value, or none to set {name} on the node."
    )


def _check_choice(input: Any, name: str, value: Any) -> None:
    if isinstance(value, str) and (name in _FILES or value in input.options):
        return
    choices = ", ".join(input.options[:_LISTED]) + (", ..." * (len(input.options) > _LISTED))
    raise MMAudioError(
        f"{name}: got {describe(value)}, expected "
        f"{'the name of a file' if name in _FILES else f'one of {choices}'}. Connect another "
        f"value, or none to choose {name} on the node."
    )
