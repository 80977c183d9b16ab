"""Time and peak memory of one run."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

_MB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one run took.

    Attributes:
        seconds: of wall time, the device waited for.
        cpu_seconds: of all the process's threads.
        rss_mb: the process's memory at its highest.
        added_mb: the same, above what it held before.
        device_mb: the most that tensors on the CUDA device took; None on a CPU.
    """

    seconds: float
    cpu_seconds: float
    rss_mb: float
    added_mb: float
    device_mb: float | None

    @property
    def peak_mb(self) -> float:
        """On the device that computes."""
        return self.rss_mb if self.device_mb is None else self.device_mb


class Clock:
    """Runs from ``start`` to ``stop``; a run may ``start`` it again where its own stage begins."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.start()

    def start(self) -> None:
        """Begin, at zero."""
        self._measured: Measured | None = None
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
        _reset_peak()
        self._before = _resident("VmRSS")
        self._cpu_started = time.process_time()
        self._started = time.perf_counter()

    def stop(self) -> Measured:
        """End, unless it has ended before; what was measured."""
        if self._measured is not None:
            return self._measured
        device_mb = None
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds = time.perf_counter() - self._started
        cpu_seconds = time.process_time() - self._cpu_started
        if self._device.type == "cuda":
            device_mb = torch.cuda.max_memory_allocated(self._device) / _MB
        peak = highest_mb()
        self._measured = Measured(
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            rss_mb=peak,
            added_mb=max(0.0, peak - self._before),
            device_mb=device_mb,
        )
        return self._measured


def highest_mb() -> float:
    """The most memory this process held since a clock was started last."""
    return _resident("VmHWM")


def _reset_peak() -> None:
    # Linux: 5 sets the process's peak back to what it holds now
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _resident(name: str) -> float:
    """VmRSS (now) or VmHWM (peak) of this process in MB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return _resource_peak()
    line = next(line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def _resource_peak() -> float:
    """Not Linux: the peak since the process began; 0 where there is none to be had."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (_MB if sys.platform == "darwin" else 1024)
