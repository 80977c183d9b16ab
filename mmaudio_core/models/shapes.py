"""Reading a network's configuration off the shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """A checkpoint's shapes; what is asked of them and is not there is a ``CheckpointError``."""

    network: str  # named in errors, e.g. "CLIP"
    shapes: Mapping[str, Sequence[int]]

    def of(self, key: str, *expected: int | None) -> tuple[int, ...]:
        """The shape of ``key``.

        Args:
            key: name of the tensor.
            expected: what each dimension has to be; None is any size.

        Raises:
            CheckpointError: there is no such tensor, or its shape is another.
        """
        wanted = "(" + ", ".join("any" if size is None else str(size) for size in expected) + ")"
        if key not in self.shapes:
            raise CheckpointError(
                f"no tensor {key!r}, which every {self.network} has (shape {wanted}): "
                f"choose a {self.network} checkpoint, or download this one again"
            )
        got = tuple(self.shapes[key])
        fits = len(got) == len(expected) and all(
            want in (None, size) for size, want in zip(got, expected, strict=True)
        )
        if not fits:
            raise CheckpointError(
                f"tensor {key!r} has shape {got}, a {self.network} has {wanted} there: "
                f"choose a {self.network} checkpoint"
            )
        return got

    def depth(self, blocks: str) -> int:
        """How many blocks ``<blocks>.0``, ``<blocks>.1``, ... there are.

        Raises:
            CheckpointError: none, or their numbers have a gap.
        """
        pattern = re.compile(re.escape(blocks) + r"\.(\d+)\.")
        numbers = {int(found[1]) for key in self.shapes if (found := pattern.match(key))}
        if not numbers or max(numbers) + 1 != len(numbers):
            raise CheckpointError(
                f"blocks {sorted(numbers)} under {blocks!r}, a {self.network} has them from 0 on "
                f"without a gap: download the file again"
            )
        return len(numbers)

    def heads(self, width: int, head_width: int, what: str) -> int:
        """Number of attention heads of ``head_width`` channels that make ``width``."""
        if width % head_width:
            raise CheckpointError(
                f"{what} is {width} wide, in a {self.network} it is a multiple of {head_width}: "
                f"choose a {self.network} checkpoint"
            )
        return width // head_width
