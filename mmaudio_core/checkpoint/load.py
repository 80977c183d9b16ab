"""From a part found in a file to a network that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..models.ops import Operations
from .header import read_tensors
from .identify import Part
from .layouts import LAYOUTS


def verify_part(part: Part) -> None:
    """Check every key and shape of ``part`` against its network, reading no tensor.

    Raises:
        CheckpointError: a key is missing, unknown or of another shape.
    """
    layout = LAYOUTS[part.kind]
    stored = {key: torch.empty(shape, device="meta") for key, shape in part.shapes.items()}
    try:
        got = layout.fold(stored)
    except KeyError as error:
        raise _incomplete(part, [f"{error.args[0]} is missing"]) from None
    except (ValueError, RuntimeError, IndexError) as error:  # tensors that do not fit each other
        raise _incomplete(part, [str(error).partition("\n")[0]]) from None
    wanted = layout.network(part.params, device="meta").state_dict()
    faults = _faults(wanted, got)
    if faults:
        raise _incomplete(part, faults)


def load_part(
    part: Part,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    operations: Operations = nn,  # pyright: ignore[reportArgumentType]
    network: Callable[..., nn.Module] | None = None,
) -> nn.Module:
    """Build ``part``'s network and give it its weights, strictly.

    Args:
        part: from ``identify``.
        dtype: of the weights; default as stored.
        device: of the weights.
        operations: namespace of layers, as ComfyUI's models take it.
        network: makes the network in place of its usual class, a subclass of that.

    Raises:
        CheckpointError: a key is missing, unknown or of another shape.
    """
    verify_part(part)
    layout = LAYOUTS[part.kind]
    dtype = dtype or part.dtype
    state = layout.fold(read_tensors(part.path, part.keys))
    make = network or layout.network
    built = make(part.params, operations=operations, device="meta", dtype=dtype)
    placed = {
        key: value.to(device=device, dtype=layout.dtype_of(key, dtype))
        for key, value in state.items()
    }
    built.load_state_dict(placed, strict=True, assign=True)
    return built.eval().requires_grad_(False)


def _faults(wanted: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> list[str]:
    faults = [f"{key} is missing" for key in wanted if key not in got]
    faults += [f"{key} is not known" for key in got if key not in wanted]
    faults += [
        f"{key} has shape {tuple(got[key].shape)}, {tuple(value.shape)} was expected"
        for key, value in wanted.items()
        if key in got and got[key].shape != value.shape
    ]
    return faults


def _incomplete(part: Part, faults: list[str]) -> CheckpointError:
    more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
    return CheckpointError(
        f"{part.path.name} looks like {part.looks_like}, but is not a complete one: "
        f"{'; '.join(faults[:3])}{more}. Download it again, or choose another file."
    )
