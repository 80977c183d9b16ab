"""What is benchmarked: one job, as both sides get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

PROMPT = "people riding bikes past on a road, wind, distant traffic"
NEGATIVE = "music"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job and where it runs.

    Attributes:
        device: cpu or cuda.
        precision: fp32 or bf16, of our networks.
        decoders: the same, of our VAE and vocoder.
        compared_precision: the same, of the compared code, which has one for all networks.
        variant: a published variant, or tiny.
        seconds: of sound.
        takes: how many at once.
        steps, cfg: of the sampler.
        video: the file that is read and muxed.
        weights: folder of the five files, both sides read the same.
        out: folder for what is written.
        reference: the published checkout, for that side.
        kijai: the checkout of the nodes, for that side.
        comfyui: the ComfyUI that those nodes run in.
        threads: of the CPU; 0 for PyTorch's choice.
        memory_gb: the most that the compared code may allocate; 0 for no limit. Linux only.
    """

    device: str
    precision: str
    decoders: str
    compared_precision: str
    variant: str
    seconds: float
    takes: int
    steps: int
    cfg: float
    video: str
    weights: str
    out: str
    reference: str | None = None
    kijai: str | None = None
    comfyui: str | None = None
    threads: int = 0
    memory_gb: float = 0
    seed: int = field(default=1)

    @property
    def duration(self) -> Fraction:
        """Seconds of sound, exactly."""
        return Fraction(str(self.seconds))

    @property
    def seeds(self) -> list[int]:
        """A seed a take."""
        return [self.seed + take for take in range(self.takes)]

    @property
    def folder(self) -> Path:
        return Path(self.weights)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Job:
        return cls(**data)

    @property
    def _precisions(self) -> str:
        if self.precision == self.compared_precision:
            return self.precision
        return f"{self.precision} (compared code {self.compared_precision})"

    def __str__(self) -> str:
        takes = "1 take" if self.takes == 1 else f"{self.takes} takes"
        return (
            f"{self.variant}, {self.device}, {self._precisions}, {self.seconds:g} s, {takes}, "
            f"{self.steps} steps, CFG {self.cfg:g}"
        )
