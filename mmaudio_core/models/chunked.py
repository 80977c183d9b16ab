"""Running local networks chunk by chunk, with the result of running them on the whole input.

An output of a convolution depends only on the inputs in its receptive field. A chunk of the output
therefore needs only a chunk of the input with margins as wide as that field, and nothing longer is
ever held in memory. At the ends of the input there is no margin, and the network's own padding is
right. At a cut the padding is wrong as far as the receptive field reaches; that much is cropped
after every operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LocalOp:
    """An operation that is local in its last dimension.

    Attributes:
        run: (..., L) -> (..., L * up // down), padding at both ends as the network does.
        up: outputs per input.
        down: inputs per output; ``up`` or ``down`` is 1.
        radius: one side of the receptive field, so that output t depends only on the inputs
            ``(t * down - radius) // up`` to ``((t + 1) * down - 1 + radius) // up``, inclusive.
    """

    run: Callable[[Tensor], Tensor]
    up: int = 1
    down: int = 1
    radius: int = 0


def run_full(ops: Sequence[LocalOp], x: Tensor) -> Tensor:
    """Run ``ops`` on the whole input: (..., L) -> (..., L * ups // downs)."""
    for op in ops:
        x = op.run(x)
    return x


def run_chunk(ops: Sequence[LocalOp], x: Tensor, bounds: tuple[int, int]) -> Tensor:
    """Outputs ``start`` to ``stop`` (exclusive) of ``run_full(ops, x)``.

    Args:
        ops: run in order; between two of them only what the later ones need is kept.
        x: the whole input, (..., L).
        bounds: (start, stop), within the whole output.
    """
    needed = _needed_bounds(ops, x.shape[-1], bounds)
    begin, end = needed[0]
    x = x[..., begin:end]
    for op, (start, stop) in zip(ops, needed[1:], strict=True):
        offset = begin * op.up // op.down
        x = op.run(x)[..., start - offset : stop - offset]
        begin = start
    return x


def _needed_bounds(
    ops: Sequence[LocalOp], length: int, bounds: tuple[int, int]
) -> list[tuple[int, int]]:
    """The needed part of the input and of each operation's output."""
    lengths = [length]
    for op in ops:
        lengths.append(lengths[-1] * op.up // op.down)
    needed = [bounds]
    for op, limit in zip(reversed(ops), reversed(lengths[:-1]), strict=True):
        start, stop = needed[-1]
        first = (start * op.down - op.radius) // op.up
        last = (stop * op.down - 1 + op.radius) // op.up
        needed.append((max(0, first), min(limit, last + 1)))
    return needed[::-1]


def chunk_bounds(length: int, longest: int) -> list[tuple[int, int]]:
    """Split ``[0, length)`` into the fewest chunks of at most ``longest``; sizes differ by <= 1."""
    count = -(-length // longest)
    return [(i * length // count, (i + 1) * length // count) for i in range(count)]
