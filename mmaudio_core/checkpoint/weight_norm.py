"""Weight normalization (Salimans and Kingma, arXiv 1602.07868): ``w = g v / ||v||``.

Published vocoders store a norm ``g`` and a direction ``v`` in place of each convolution's weight,
under torch's old or new names. The networks compute with ``w``.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

_DIRECTIONS = (".parametrizations.weight.original1", ".weight_v")
_NORMS = (".parametrizations.weight.original0", ".weight_g")


def folded_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Shapes after ``fold_weight_norm``, by the folded keys."""
    folded: dict[str, tuple[int, ...]] = {}
    for key, shape in shapes.items():
        direction = _direction(key)
        if direction is not None:
            folded[key.removesuffix(direction) + ".weight"] = shape
        elif not key.endswith(_NORMS):
            folded[key] = shape
    return folded


def fold_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace each pair of norm and direction by its weight, computed in float32.

    ``||v||`` is taken over all dimensions but the first.

    Raises:
        KeyError: a norm is missing.
        ValueError: the shapes of a pair do not match.
    """
    folded: dict[str, Tensor] = {}
    for key, tensor in state.items():
        direction = _direction(key)
        if direction is not None:
            stem = key.removesuffix(direction)
            norm = stem + _NORMS[_DIRECTIONS.index(direction)]
            v, g = tensor.float(), state[norm].float()
            expected = (*v.shape[:1], *(1 for _ in v.shape[1:]))
            if g.shape != expected:
                raise ValueError(f"{norm} has shape {tuple(g.shape)}, expected {expected}")
            length = v.square().sum(dim=tuple(range(1, v.ndim)), keepdim=True).sqrt()
            folded[f"{stem}.weight"] = g * v / length
        elif not key.endswith(_NORMS):
            folded[key] = tensor
    return folded


def unfolded_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The inverse of ``folded_shapes``, in torch's new names; every weight gets a norm."""
    unfolded: dict[str, tuple[int, ...]] = {}
    for key, shape in shapes.items():
        if key.endswith(".weight"):
            stem = key.removesuffix(".weight")
            unfolded[stem + _NORMS[0]] = (shape[0], 1, 1)
            unfolded[stem + _DIRECTIONS[0]] = shape
        else:
            unfolded[key] = shape
    return unfolded


def _direction(key: str) -> str | None:
    return next((end for end in _DIRECTIONS if key.endswith(end)), None)
