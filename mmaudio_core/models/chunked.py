"""Running local networks piece by piece, with the result of running them whole.

An output of a convolution depends on the inputs within its reach and on no others. So a piece of
the output needs a piece of the input with margins of that reach, and nothing longer is ever held.
Margins end at the real ends, where the network's own padding is right; at a cut the padding is
wrong as far as the reach goes, and that far is cropped after every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LocalOp:
    """A step of a network that is local in its last dimension.

    Attributes:
        run: (..., L) -> (..., L * up // down), padding at both ends as the network does.
        up: outputs an input.
        down: inputs an output, where ``up`` is 1.
        reach: output t depends on no input outside
            ``[(t * down - reach) // up, ((t + 1) * down - 1 + reach) // up]``.
    """

    run: Callable[[Tensor], Tensor]
    up: int = 1
    down: int = 1
    reach: int = 0


def run_full(steps: Sequence[LocalOp], x: Tensor) -> Tensor:
    """All of the output at once: (..., L) -> (..., L * ups // downs)."""
    for step in steps:
        x = step.run(x)
    return x


def run_chunk(steps: Sequence[LocalOp], x: Tensor, span: tuple[int, int]) -> Tensor:
    """Output ``[start, stop)`` of ``whole(steps, x)``.

    Between two steps no more is held than the later ones need.

    Args:
        steps: run one after another.
        x: the whole input, (..., L).
        span: (start, stop) in outputs, within the whole output.
    """
    needed = _needed(steps, x.shape[-1], span)
    begin, end = needed[0]
    x = x[..., begin:end]
    for step, (start, stop) in zip(steps, needed[1:], strict=True):
        offset = begin * step.up // step.down
        x = step.run(x)[..., start - offset : stop - offset]
        begin = start
    return x


def _needed(steps: Sequence[LocalOp], length: int, span: tuple[int, int]) -> list[tuple[int, int]]:
    """What is needed of the input and of each step's output."""
    lengths = [length]
    for step in steps:
        lengths.append(lengths[-1] * step.up // step.down)
    spans = [span]
    for step, limit in zip(reversed(steps), reversed(lengths[:-1]), strict=True):
        start, stop = spans[-1]
        first = (start * step.down - step.reach) // step.up
        last = (stop * step.down - 1 + step.reach) // step.up
        spans.append((max(0, first), min(limit, last + 1)))
    return spans[::-1]


def chunk_bounds(length: int, longest: int) -> list[tuple[int, int]]:
    """``[0, length)`` in as few parts of at most ``longest`` as will do, alike to one."""
    parts = -(-length // longest)
    return [(i * length // parts, (i + 1) * length // parts) for i in range(parts)]
