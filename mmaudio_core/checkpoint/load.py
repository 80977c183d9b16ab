"""Build a network from a part found in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..feature_cache import weights_fingerprint
from ..file_identity import file_identity
from ..models.ops import Operations
from .header import open_tensors
from .identify import Part
from .layouts import LAYOUTS


def verify_part(part: Part) -> None:
    """Check every key and shape of ``part`` against its network, without reading a tensor.

    Raises:
        CheckpointError: a key is missing or unknown, or has the wrong shape.
    """
    layout = LAYOUTS[part.kind]
    try:
        stored = {key: torch.empty(shape, device="meta") for key, shape in part.shapes.items()}
        state = layout.fold(stored)
        expected = layout.network(part.params, device="meta").state_dict()
    except KeyError as error:
        raise _incomplete(part, [f"{error.args[0]} is missing"]) from None
    except (ArithmeticError, ValueError, TypeError, LookupError, RuntimeError) as error:
        # shapes that fit neither each other nor any network
        raise _incomplete(part, [str(error).partition("\n")[0]]) from None
    faults = _faults(state, expected)
    if faults:
        raise _incomplete(part, faults)


def fingerprint_part(part: Part) -> str:
    """A fingerprint of the file's content, see ``weights_fingerprint``.

    Raises:
        CheckpointError: the file is no longer the one that was identified.
    """
    _check_unchanged(part)
    fingerprint = weights_fingerprint(part.path)
    _check_unchanged(part)
    return fingerprint


def load_part(
    part: Part,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    operations: Operations = nn,  # pyright: ignore[reportArgumentType]
    network: Callable[..., nn.Module] | None = None,
) -> nn.Module:
    """Build ``part``'s network and load its weights, in eval mode and without gradients.

    Args:
        part: from ``identify``.
        dtype: dtype of the weights; None keeps the stored one.
        device: device of the weights.
        operations: namespace of layer classes; ``torch.nn`` unless the host has its own.
        network: subclass to build instead of the kind's own class.

    Raises:
        CheckpointError: a key is missing or unknown, or has the wrong shape; or the file is no
            longer the one that was identified.
    """
    verify_part(part)
    _check_unchanged(part)
    layout = LAYOUTS[part.kind]
    dtype = dtype or part.dtype
    with open_tensors(part.path, part.keys) as stored:
        state = {
            key: value.to(device=device, dtype=layout.dtype_of(key, dtype))
            for key, value in layout.fold(stored).items()
        }
    build = network or layout.network
    model = build(part.params, operations=operations, device="meta", dtype=dtype)
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def _check_unchanged(part: Part) -> None:
    try:
        identity = file_identity(part.path.stat())
    except OSError as error:
        raise CheckpointError(f"{part.path} cannot be read ({error.strerror})") from None
    if identity != part.identity:
        raise CheckpointError(
            f"{part.path.name} is not the file any more that it was when the model was chosen; run "
            "it again"
        )


def _faults(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    faults = [f"{key} is missing" for key in expected if key not in state]
    faults += [f"{key} is unknown" for key in state if key not in expected]
    faults += [
        f"{key} has shape {tuple(state[key].shape)}, expected {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    return faults


def _incomplete(part: Part, faults: list[str]) -> CheckpointError:
    more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
    return CheckpointError(
        f"{part.path.name} looks like {part.looks_like}, but does not match it: "
        f"{'; '.join(faults[:3])}{more}"
    )
