"""What a job of some length costs, measured in a process of its own: seconds and memory."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE, decode
from mmaudio_core.config import TEXT_TOKENS, sequence_lengths
from mmaudio_core.features.types import Features
from mmaudio_core.features.visual import TimeRange, VideoClip, extract_visual_features
from mmaudio_core.providers import ModelProvider
from mmaudio_core.sampling.euler import SAMPLING_STAGE
from mmaudio_core.sampling.sample import sample

from .full import FullNetworks
from .small import MemoryNetworks

TINY = "tiny"
STAGES = (SAMPLING_STAGE, VAE_STAGE, VOCODER_STAGE)
LOOK_STAGE = "look"
_MB = 1e6


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to measure.

    Attributes:
        variant: published sizes with seeded weights, or "tiny".
        seconds: of sound.
        steps: of the sampler.
        visual: made-up CLIP and sync features; without, only text.
        last: the stage to end with.
        video: look at this file on tiny encoders, and do nothing else.
    """

    variant: str = TINY
    seconds: int = 60
    steps: int = 2
    visual: bool = False
    last: str = VOCODER_STAGE
    video: str = ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a job: how long it took, and its peak over the weights' RSS in megabytes."""

    seconds: float
    peak: float


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a job took.

    Attributes:
        stages: by name.
        features: MB of what the job is given (for looking: of what it returns).
        latents: MB.
        mel: MB, held from the VAE's first piece to the vocoder's last.
        waveform: MB of the result.
        runs: latents that went through the flow network, both branches of all steps together.
        longest: latents of the longest sequence that went through it.
    """

    stages: dict[str, Stage]
    features: float = 0
    latents: float = 0
    mel: float = 0
    waveform: float = 0
    runs: int = 0
    longest: int = 0

    @property
    def kept(self) -> float:
        """MB that grow with the duration whatever is done: what comes in and what goes out."""
        return self.features + self.latents + self.mel + self.waveform

    @property
    def peak(self) -> float:
        """MB over the weights, of the hungriest stage."""
        return max(stage.peak for stage in self.stages.values())


def measure(job: Job) -> Cost:
    """Run ``job`` in a fresh interpreter, with PyTorch's and the allocator's own settings."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.core.scaling", json.dumps(asdict(job))],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    told = json.loads(done.stdout)
    stages = {name: Stage(**stage) for name, stage in told.pop("stages").items()}
    return Cost(stages=stages, **told)


def _status(name: str) -> float:
    """Megabytes that the kernel counts: VmRSS now, VmHWM at most since it was last cleared."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) * 1024 / _MB


class _Enough(Exception):
    """The stage after the last one begins."""


@dataclass
class _Watch:
    """Times stages, and takes their peaks; ends a job after its ``last``."""

    last: str = VOCODER_STAGE
    weights: float = 0  # MB of RSS
    stages: dict[str, Stage] = field(default_factory=dict)
    _name: str = ""
    _since: float = 0

    def start(self) -> None:
        """From here on, memory is no longer the weights'."""
        ctypes.CDLL(None).malloc_trim(0)  # what loading has freed is no room for the job
        self.weights = _status("VmRSS")

    def enter(self, name: str) -> None:
        """End the stage before ``name``, where that is another one."""
        if name == self._name:
            return
        now = time.perf_counter()
        if self._name:
            peak = _status("VmHWM") - self.weights
            self.stages[self._name] = Stage(seconds=now - self._since, peak=peak)
        Path("/proc/self/clear_refs").write_text("5")
        self._name, self._since = name, now

    def progress(self, stage: str, _done: int, _total: int, /) -> None:
        if stage == VOCODER_STAGE:  # one call runs the VAE and the vocoder
            self.enter(stage)
            if self.last != stage:
                raise _Enough


def _features(networks: ModelProvider, job: Job) -> Features:
    p = networks.params
    lengths = sequence_lengths(Fraction(job.seconds), p.audio)
    generator = torch.Generator().manual_seed(0)

    def noise(length: int, width: int) -> Tensor:
        return torch.randn(1, length, width, generator=generator)

    return Features(
        duration=Fraction(job.seconds),
        clip=noise(lengths.clip, p.clip_dim) if job.visual else None,
        sync=noise(lengths.sync, p.sync_dim) if job.visual else None,
        text=noise(TEXT_TOKENS, p.text_dim),
        negative=noise(TEXT_TOKENS, p.text_dim),
    )


def _megabytes(*tensors: Tensor | None) -> float:
    return sum(t.numel() * t.element_size() for t in tensors if t is not None) / _MB


def _upto(last: str) -> tuple[str, ...]:
    return STAGES[: STAGES.index(last) + 1]


def _listen(job: Job) -> Cost:
    """From features to a waveform."""
    networks = MemoryNetworks() if job.variant == TINY else FullNetworks(job.variant)
    for kind in (PartKind.FLOW, PartKind.VAE, PartKind.VOCODER):
        networks.acquire(kind, 0)
    shapes: list[torch.Size] = []
    flow = networks.acquire(PartKind.FLOW, 0).network
    flow.register_forward_pre_hook(lambda _module, args: shapes.append(args[0].shape))
    watch = _Watch(last=job.last)
    watch.start()
    features = _features(networks, job)
    watch.enter(SAMPLING_STAGE)
    latents = sample(networks, features, [0], steps=job.steps)
    waveform, mels = None, 0
    if job.last != SAMPLING_STAGE:
        mels = networks.params.audio.mels
        watch.enter(VAE_STAGE)
        with suppress(_Enough):
            waveform = decode(networks, latents, features.duration, watch.progress)
    watch.enter("")
    return Cost(
        stages={name: stage for name, stage in watch.stages.items() if name in _upto(job.last)},
        features=_megabytes(features.clip, features.sync, features.text, features.negative),
        latents=_megabytes(latents),
        mel=2 * latents.shape[1] * mels * 4 / _MB,
        waveform=_megabytes(waveform),
        runs=sum(shape[0] * shape[1] for shape in shapes),
        longest=max(shape[1] for shape in shapes),
    )


def _look(job: Job) -> Cost:
    """From a video to features."""
    networks = MemoryNetworks()
    for kind in (PartKind.CLIP, PartKind.SYNCHFORMER):
        networks.acquire(kind, 0)
    watch = _Watch()
    watch.start()
    watch.enter(LOOK_STAGE)
    seen = extract_visual_features(
        networks, VideoClip(source=Path(job.video)), TimeRange(duration=Fraction(job.seconds))
    )
    watch.enter("")
    return Cost(stages=watch.stages, features=_megabytes(seen.features.clip, seen.features.sync))


def main(told: str) -> None:
    """Measure the job that ``told`` describes, in this process."""
    job = Job(**json.loads(told))
    work: Callable[[], Cost] = (lambda: _look(job)) if job.video else (lambda: _listen(job))
    print(json.dumps(asdict(work())))


if __name__ == "__main__":
    main(sys.argv[1])
