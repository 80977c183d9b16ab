"""Tensors as a file stores them, and what can be wrong with such a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch

MAX_HEADER_BYTES = 8 * 1024 * 1024
"""A model here has 0.4 MB at most, a LoRA with its training data described a few MB."""
MAX_KEY_LENGTH = 1024
_MAX_DIMENSIONS = 16
_MAX_SIZE = 2**63


class BrokenFileError(Exception):
    """The file does not follow its format.

    Attributes:
        incomplete: its end is missing.
    """

    def __init__(self, reason: str, *, incomplete: bool = False) -> None:
        super().__init__(reason)
        self.incomplete = incomplete


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """Shape and element type of a stored tensor, and where it is.

    Attributes:
        dtype: None for types that torch does not have.
        offset: byte of the file at which its first element is.
        strides: elements between neighbors of each dimension; None if it is contiguous.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype | None
    offset: int
    strides: tuple[int, ...] | None = None

    @property
    def elements(self) -> int:
        """Elements from the first to the last one, those between them included."""
        if 0 in self.shape:
            return 0
        if self.strides is None:
            return math.prod(self.shape)
        return 1 + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))


def sizes(value: object, what: str) -> tuple[int, ...]:
    """``value`` as the shape or the strides of a tensor.

    Raises:
        BrokenFileError: it is none, or larger than any tensor can be; ``what`` names it.
    """
    if isinstance(value, (list, tuple)):
        items = cast(Sequence[object], value)
        if len(items) <= _MAX_DIMENSIONS:
            numbers = [item for item in items if type(item) is int and 0 <= item < _MAX_SIZE]
            product = math.prod(number for number in numbers if number)
            if len(numbers) == len(items) and product < _MAX_SIZE:
                return tuple(numbers)
    raise BrokenFileError(f"{what} is not one that a tensor can have")
