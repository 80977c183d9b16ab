"""What the hardware can do at most, measured: matrix products and copies."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

_SECONDS = 0.5  # of each measurement
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Best rates seen.

    Attributes:
        flops: operations a second of a large matrix product in ``precision``.
        bytes: read and written a second by a large copy.
    """

    precision: str
    flops: float
    bytes: float


def measure_rates(device: torch.device, precision: str) -> Rates:
    """The best of half a second of products, and of half a second of copies."""
    size = 8192 if device.type == "cuda" else 2048
    a = torch.randn(size, size, device=device, dtype=_DTYPES[precision])
    b = torch.randn(size, size, device=device, dtype=_DTYPES[precision])
    product = torch.empty_like(a)
    many = 1 << (30 if device.type == "cuda" else 28)
    source = torch.ones(many // 4, device=device)
    target = torch.empty_like(source)
    return Rates(
        precision=precision,
        flops=2 * size**3 / _best(lambda: torch.mm(a, b, out=product), device),
        bytes=2 * many / _best(lambda: target.copy_(source), device),
    )


def _best(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of the quickest run, after one to warm up."""
    best = float("inf")
    run()
    end = time.perf_counter() + _SECONDS
    while time.perf_counter() < end:
        _wait(device)
        started = time.perf_counter()
        run()
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
