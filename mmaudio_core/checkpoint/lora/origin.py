"""What a LoRA file says of its training: for which network, and of which data.

The entries stand in the metadata of the safetensors file. Files of other trainers lack them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from torch import Tensor

from ...errors import CheckpointError
from ...models.flow import FlowParams
from ..published import CC_BY_NC, VARIANTS
from .keys import Role, split_key

_ARCHITECTURE = "mmaudio_architecture"
_VARIANT = "mmaudio_variant"
_STEPS = "mmaudio_steps"


def training_metadata(
    params: FlowParams, tensors: Mapping[str, Tensor], steps: int, data: str
) -> dict[str, str]:
    """The metadata of a LoRA.

    Args:
        params: of the network that it was trained for.
        tensors: the LoRA.
        steps: how long it was trained.
        data: digest of what it was trained on; empty if unknown.
    """
    ranks = Counter(
        len(tensor) for key, tensor in tensors.items() if split_key(key)[1] is Role.DOWN
    )
    known = {
        _ARCHITECTURE: _architecture(params),
        _VARIANT: _variant(params) or "",
        "mmaudio_rank": str(ranks.most_common(1)[0][0]) if ranks else "",
        _STEPS: str(steps),
        "mmaudio_data": data,
        "license": f"{CC_BY_NC}, as the weights that it was trained from",
    }
    return {key: value for key, value in known.items() if value}


def variant_of(metadata: Mapping[str, str]) -> str | None:
    """The variant that a LoRA was trained for, if its metadata names one."""
    return metadata.get(_VARIANT) or None


def steps_of(metadata: Mapping[str, str]) -> int | None:
    """How long a LoRA was trained, if its metadata tells."""
    text = metadata.get(_STEPS, "")
    return int(text) if text.isdecimal() and len(text) < 20 else None


def check_origin(name: str, metadata: Mapping[str, str], params: FlowParams) -> None:
    """Raise CheckpointError if the metadata names another network than that of ``params``.

    Shapes alone do not tell large_44k from large_44k_v2 in all parts of the network.
    """
    expected = _architecture(params)
    got = metadata.get(_ARCHITECTURE, expected)
    if got != expected:
        trained, model = metadata.get(_VARIANT) or got, _variant(params) or expected
        raise CheckpointError(
            f"{name} was trained for {trained}, got a model that is {model}: load the variant that "
            "it was trained for"
        )


def _variant(params: FlowParams) -> str | None:
    return next((name for name, v in VARIANTS.items() if v.params == params), None)


def _architecture(params: FlowParams) -> str:
    version = "v2" if params.v2 else "v1"
    return (
        f"a {version} network of width {params.width} with {params.joint_depth}+"
        f"{params.fused_depth} blocks and {params.latent_dim} latent channels"
    )
