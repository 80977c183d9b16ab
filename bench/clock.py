"""Wall time, CPU time and peak memory of one run."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import torch

from .messages import Measurement

_MB = 1024 * 1024


class Clock:
    """Measures from ``start`` to ``stop``; ``start`` again to leave out what has run so far."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.start()

    def start(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
        with contextlib.suppress(OSError):  # Linux: 5 resets VmHWM to the current size
            Path("/proc/self/clear_refs").write_text("5")
        self._rss_before = _memory_mb("VmRSS")
        self._cpu_started = time.process_time()
        self._started = time.perf_counter()

    def stop(self) -> Measurement:
        device_mb = None
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            device_mb = torch.cuda.max_memory_allocated(self._device) / _MB
        seconds = time.perf_counter() - self._started
        cpu_seconds = time.process_time() - self._cpu_started
        peak = _memory_mb("VmHWM")
        return Measurement(
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            rss_mb=peak,
            added_mb=max(0.0, peak - self._rss_before),
            device_mb=device_mb,
        )


def _memory_mb(name: str) -> float:
    """Current (VmRSS) or peak (VmHWM) resident memory of this process."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))
