"""The job that is benchmarked, the same for every implementation."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

PROMPT = "people riding bikes past on a road, wind, distant traffic"
NEGATIVE_PROMPT = "music"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job and where it runs.

    Attributes:
        device: cpu or cuda.
        precision: fp32 or bf16, of our flow network and encoders.
        decoders: fp32 or bf16, of our VAE and vocoder.
        compared_precision: fp32 or bf16, of all networks of the published code.
        variant: a published variant, or tiny.
        seconds: duration of the sound.
        takes: number of results.
        steps, cfg: sampler steps and guidance strength.
        video: file that is read and muxed.
        weights: folder of the weights files, which every implementation reads.
        out: folder for output files.
        reference: checkout of the published code.
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
    video: Path
    weights: Path
    out: Path
    reference: Path | None = None
    seed: int = 1

    @property
    def duration(self) -> Fraction:
        """Exact duration of the sound in seconds."""
        return Fraction(str(self.seconds))

    @property
    def seeds(self) -> list[int]:
        """One seed per take."""
        return [self.seed + take for take in range(self.takes)]

    def __str__(self) -> str:
        precision = self.precision
        if self.compared_precision != precision:
            precision += f" (published code {self.compared_precision})"
        takes = "1 take" if self.takes == 1 else f"{self.takes} takes"
        return (
            f"{self.variant}, {self.device}, {precision}, {self.seconds:g} s, {takes}, "
            f"{self.steps} steps, CFG {self.cfg:g}"
        )
