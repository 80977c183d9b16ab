"""Bytes of live tensors while something runs."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Live(TorchDispatchMode):
    """Counts the bytes of live tensors that were created while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor):
                self._follow(tensor)
        return made

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        at, size = storage.data_ptr(), storage.nbytes()
        self.users[at] = self.users.get(at, 0) + 1
        if self.users[at] == 1:
            self.now += size
            self.peak = max(self.peak, self.now)
        weakref.finalize(tensor, self._forget, at, size)

    def _forget(self, at: int, size: int) -> None:
        self.users[at] -= 1
        if not self.users[at]:
            del self.users[at]
            self.now -= size


def peak(work: Callable[[], object]) -> float:
    """Megabytes."""
    live = Live()
    with live, torch.no_grad():
        work()
    return live.peak / 1e6
