"""What stands in for a CUDA graph where there is no GPU: the same operations on the same tensors.

Python runs once, while it is recorded; every repetition does the recorded operations again and
puts their results where the first ones lie. As on a GPU, reading a value is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_READING = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)


class _Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self._done: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _READING:
            raise RuntimeError("operation not permitted when stream is capturing")
        result = func(*args, **(kwargs or {}))
        self._done.append((func, args, kwargs or {}, result))
        return result

    def repeat(self) -> None:
        for func, args, kwargs, first in self._done:
            again = func(*args, **kwargs)
            given = {_home(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
            for old, new in zip(tree_leaves(first), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and _home(old) not in given:
                    old.copy_(new)


def _home(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


@dataclass
class Recorder:
    """Counts what it records and what is repeated of it."""

    recorded: int = 0
    repeated: int = 0

    def prepare(self, run: Callable[[], None], device: torch.device) -> None:
        run()

    def record(self, run: Callable[[], None], device: torch.device) -> Callable[[], None]:
        tape = _Tape()
        with tape:
            run()
        self.recorded += 1

        def replay() -> None:
            self.repeated += 1
            tape.repeat()

        return replay
