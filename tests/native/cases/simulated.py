"""All five networks on simulated CUDA devices under ComfyUI's dynamic memory manager."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import simulated_gpu
import tiny
import torch
from mmaudio_pack.mmaudio_core.checkpoint import PartKind, load
from mmaudio_pack.mmaudio_core.checkpoint.header import read_header
from mmaudio_pack.mmaudio_core.config import sequence_lengths

tiny.networks(tiny.LARGE)  # writes the files, with values
simulated_gpu.simulate()
FAKE = simulated_gpu.fake_tensors()


def _without_values(path: Path, keys: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """``read_tensors`` on fake tensors."""
    infos = read_header(path).tensors
    return {
        name: torch.empty(infos[stored].shape, dtype=infos[stored].dtype)
        for name, stored in keys.items()
    }


load.read_tensors = _without_values


def _run(kind: PartKind, provider: Any) -> None:
    params = provider.params
    loaded = provider.acquire(kind, 0)
    device, dtype = loaded.device, loaded.dtype
    lengths = sequence_lengths(Fraction(2), params.audio)
    network = loaded.network
    if kind is PartKind.CLIP:
        network.encode_image(
            torch.zeros(2, 3, 384, 384, dtype=torch.uint8, device=device), dtype=dtype
        )
        network.encode_text(torch.zeros(2, 77, dtype=torch.int64, device=device), dtype=dtype)
    elif kind is PartKind.SYNCHFORMER:
        network.encode_segments(
            torch.zeros(2, 16, 3, 224, 224, dtype=torch.uint8, device=device), dtype=dtype
        )
    elif kind is PartKind.VAE:
        network.decode(
            torch.zeros(1, params.latent_dim, lengths.latent, device=device, dtype=dtype)
        )
    elif kind is PartKind.VOCODER:
        network(torch.zeros(1, params.audio.mels, 64, device=device, dtype=dtype))
    else:
        tiny.sample(provider.model, tiny.features(params), seeds=[1, 2], steps=2)


def case_precisions() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for precision in ("auto", "fp32", "fp8_e4m3fn"):
        with FAKE:
            provider = tiny.networks.__wrapped__(tiny.LARGE, precision)
            for kind in PartKind:
                with simulated_gpu.DeviceWatch() as watch:
                    _run(kind, provider)
                found[f"{precision} {kind.value}"] = {
                    "mixed": watch.mixed,
                    "operations": sum(watch.operations.values()),
                    "peak": watch.peak,
                    "non_blocking": {f"{a}>{b}": n for (a, b), n in watch.non_blocking.items()},
                }
    return found
