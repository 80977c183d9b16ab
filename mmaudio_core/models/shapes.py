"""Inferring a network's architecture from the shapes of its checkpoint's tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class CheckpointShapes:
    """Shapes of the tensors in a checkpoint, checked as they are looked up.

    Attributes:
        network: the expected network, named in errors, e.g. "CLIP".
        shapes: by key.
    """

    network: str
    shapes: Mapping[str, Sequence[int]]

    def shape(self, key: str, *expected: int | None) -> tuple[int, ...]:
        """The shape of tensor ``key``.

        Args:
            key: name of the tensor.
            expected: size of each dimension; None allows any.

        Raises:
            CheckpointError: the tensor is missing or has another shape.
        """
        pattern = "(" + ", ".join("any" if size is None else str(size) for size in expected) + ")"
        if key not in self.shapes:
            raise CheckpointError(f"no tensor {key!r}, expected in a {self.network}: {pattern}")
        found = tuple(self.shapes[key])
        if len(found) != len(expected) or any(
            size not in (None, actual) for actual, size in zip(found, expected, strict=True)
        ):
            raise CheckpointError(
                f"tensor {key!r} has shape {found}, expected {pattern} in a {self.network}"
            )
        return found

    def block_count(self, blocks: str) -> int:
        """The number of blocks ``<blocks>.0``, ``<blocks>.1``, ...

        Raises:
            CheckpointError: there are none, or their numbers have a gap.
        """
        pattern = re.compile(re.escape(blocks) + r"\.(\d+)\.")
        numbers = {int(found[1]) for key in self.shapes if (found := pattern.match(key))}
        if not numbers or max(numbers) + 1 != len(numbers):
            raise CheckpointError(
                f"blocks {sorted(numbers)} under {blocks!r}, expected blocks numbered from 0 "
                f"without a gap in a {self.network}"
            )
        return len(numbers)

    def heads(self, width: int, head_width: int, what: str) -> int:
        """The number of attention heads of ``head_width`` channels in ``width``.

        Raises:
            CheckpointError: ``width`` is not a multiple of ``head_width``; ``what`` names it.
        """
        if width % head_width:
            raise CheckpointError(
                f"{what} has width {width}, expected a multiple of {head_width} in a {self.network}"
            )
        return width // head_width
