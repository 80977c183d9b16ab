"""What the benchmark and its worker processes send each other; imports nothing that is slow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .stages import Stage


@dataclass(frozen=True, kw_only=True)
class Load:
    """Request to load the networks of ``stages``."""

    stages: tuple[Stage, ...]


@dataclass(frozen=True, kw_only=True)
class RunStage:
    """Request to run a stage once and save its result, if ``save_to`` is given and it has one."""

    stage: Stage
    save_to: Path | None


Request = Load | RunStage


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why there is no measurement."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Cost of one run.

    Attributes:
        seconds: wall time, including all work queued on the device.
        cpu_seconds: CPU time of all threads of the process.
        rss_mb: peak resident memory of the process; 0 on systems other than Linux.
        added_mb: the same, above what the process held when the run began.
        device_mb: peak memory of tensors on the CUDA device; None on a CPU.
    """

    seconds: float
    cpu_seconds: float
    rss_mb: float
    added_mb: float
    device_mb: float | None

    @property
    def peak_mb(self) -> float:
        """Peak memory of the device that computes."""
        return self.rss_mb if self.device_mb is None else self.device_mb
