"""Time, memory and work of one long job, measured in a process of its own."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.codec.decode import decode
from mmaudio_core.config import TEXT_TOKENS, sequence_lengths
from mmaudio_core.features.types import Features
from mmaudio_core.models.flow import FlowParams
from mmaudio_core.sampling.sample import sample

from .small import MemoryNetworks

_MB = 1e6


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a job takes, from features to a waveform.

    Attributes:
        peak: most MB of resident memory on top of the networks'.
        kept: MB of features, latents, mel and waveform, which grow with any duration.
        waveform: MB of the waveform.
        latents: latents that ran through the flow network, counted in all windows and steps.
        longest: most latents in one row of it.
    """

    peak: float
    kept: float
    waveform: float
    latents: int
    longest: int


def measure(seconds: int) -> Cost:
    """Run one step of tiny networks on ``seconds`` of random features in a new process."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.core.scaling", str(seconds)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return Cost(**json.loads(process.stdout))


def _run(seconds: int) -> Cost:
    networks = MemoryNetworks()
    for kind in (PartKind.FLOW, PartKind.VAE, PartKind.VOCODER):
        networks.acquire(kind, 0)
    shapes: list[torch.Size] = []
    flow = networks.acquire(PartKind.FLOW, 0).network
    flow.register_forward_pre_hook(lambda _module, args: shapes.append(args[0].shape))
    ctypes.CDLL(None).malloc_trim(0)  # memory freed while loading does not count as free
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    features = _features(networks.params, seconds)
    latents = sample(networks, features, [0], steps=1)
    waveform = decode(networks, latents, features.duration)
    mel = 2 * latents.shape[1] * networks.params.audio.mels * 4 / _MB
    return Cost(
        peak=_memory("VmHWM") - before,
        kept=mel
        + _megabytes(
            features.clip, features.sync, features.text, features.negative, latents, waveform
        ),
        waveform=_megabytes(waveform),
        latents=sum(shape[0] * shape[1] for shape in shapes),
        longest=max(shape[1] for shape in shapes),
    )


def _features(params: FlowParams, seconds: int) -> Features:
    lengths = sequence_lengths(seconds, params.audio)
    generator = torch.Generator().manual_seed(0)

    def noise(length: int, width: int) -> Tensor:
        return torch.randn(1, length, width, generator=generator)

    return Features(
        duration=Fraction(seconds),
        clip=noise(lengths.clip, params.clip_dim),
        sync=noise(lengths.sync, params.sync_dim),
        text=noise(TEXT_TOKENS, params.text_dim),
        negative=noise(TEXT_TOKENS, params.text_dim),
    )


def _memory(name: str) -> float:
    """MB by Linux's count: VmRSS is resident now, VmHWM at most since it was reset."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) * 1024 / _MB


def _megabytes(*tensors: Tensor | None) -> float:
    return sum(t.numel() * t.element_size() for t in tensors if t is not None) / _MB


if __name__ == "__main__":
    print(json.dumps(asdict(_run(int(sys.argv[1])))))
