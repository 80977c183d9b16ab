"""From latents to sound: the VAE's decoder and the vocoder, a few seconds at a time.

Chunks overlap by as much as the networks see, so the result equals that of the whole, and memory
(apart from the result) does not grow with the duration. Only the VAE's attention is global: it sees
32 s before and after a chunk of 16 s, so all of a sound of up to 48 s. It was trained on 8 s.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from ..checkpoint import PartKind
from ..config import MEL_PER_LATENT, exact_samples
from ..errors import NumericsError, Problem
from ..models.bigvgan import BigVGAN
from ..models.chunked import chunk_bounds
from ..models.vae import CONTEXT_CHUNKS, VAE
from ..progress import Progress, no_progress, tick_on_forward
from ..providers import LoadedModel, ModelProvider, check_finite

VAE_STAGE, VOCODER_STAGE = "VAE", "vocoder"
# Seconds per chunk. A CPU is fastest while activations fit its caches and margins are few (2 s and
# 4 s take 4% longer); other devices prefer fewer, larger operations.
VAE_SECONDS = 16
_VOCODER_SECONDS, _VOCODER_SECONDS_CPU = 8, 3

# For estimates of memory: the most channels, and how many tensors of that width are alive at once.
BYTES_PER_VALUE = 4
MARGIN_LATENTS = 32  # both margins of a chunk, at least
VAE_CHANNELS = 2048  # at the latent's rate
_VAE_LIVE_TENSORS = 16
_CONTEXT_LIVE_TENSORS = 6  # keys and values: by chunk, concatenated, and those of the chunk before
_VOCODER_CHANNELS = 24  # at the sample rate
_VOCODER_LIVE_TENSORS = 16


def decode(
    networks: ModelProvider, latents: Tensor, duration: Fraction, progress: Progress = no_progress
) -> Tensor:
    """Waveforms of latents on the VAE's scale.

    Args:
        networks: provides VAE and vocoder.
        latents: (takes, N, latent_dim).
        duration: seconds that the result is trimmed to.
        progress: called at least once per block.

    Returns:
        (takes, 1, round(duration * sample_rate)), float32 on the CPU, in [-1, 1].

    Raises:
        NumericsError: NaN or infinity in the latents or in a network's output.
    """
    if not bool(torch.isfinite(latents).all()):
        raise NumericsError(
            "got latents with NaN or infinite values, expected finite ones", Problem.NUMERICS
        )
    fmt = networks.params.audio
    takes, length, _ = latents.shape

    chunk = fmt.latents(VAE_SECONDS)
    vae = networks.acquire(PartKind.VAE, _vae_bytes(length, chunk))
    mels = torch.empty(takes, fmt.mels, length * MEL_PER_LATENT)
    _decode_into(mels, latents.transpose(1, 2), chunk, VAE_STAGE, vae, progress)

    chunk = min(length, fmt.latents(_VOCODER_SECONDS) + MARGIN_LATENTS)
    values = chunk * fmt.samples_per_latent * _VOCODER_CHANNELS * _VOCODER_LIVE_TENSORS
    vocoder = networks.acquire(PartKind.VOCODER, values * BYTES_PER_VALUE)
    seconds = _VOCODER_SECONDS_CPU if vocoder.device.type == "cpu" else _VOCODER_SECONDS
    chunk = fmt.latents(seconds) * MEL_PER_LATENT
    samples = min(exact_samples(duration, fmt.sample_rate), length * fmt.samples_per_latent)
    waveforms = torch.empty(takes, 1, samples)
    _decode_into(waveforms, mels, chunk, VOCODER_STAGE, vocoder, progress)
    return waveforms


def _vae_bytes(length: int, chunk: int) -> int:
    """Memory for activations of the VAE's decoder on ``length`` latents in chunks of ``chunk``."""
    decoded = min(length, chunk + MARGIN_LATENTS)
    attended = min(length, (2 * CONTEXT_CHUNKS + 1) * chunk)
    latents = decoded * _VAE_LIVE_TENSORS + attended * _CONTEXT_LIVE_TENSORS
    return latents * VAE_CHANNELS * BYTES_PER_VALUE


def _decode_into(
    outputs: Tensor,
    inputs: Tensor,
    longest: int,
    stage: str,
    model: LoadedModel,
    progress: Progress,
) -> None:
    """Decode each of ``inputs`` (takes, C, L) into ``outputs``, which may be shorter, in chunks."""
    network = model.network
    assert isinstance(network, VAE | BigVGAN)
    total = len(inputs) * len(chunk_bounds(inputs.shape[-1], longest))
    done = 0
    with torch.no_grad(), tick_on_forward(network, lambda: progress(stage, done, total)):
        for take, output in zip(inputs, outputs, strict=True):
            x = take[None].to(device=model.device, dtype=model.dtype)
            start = 0
            for chunk in network.decode_chunks(x, longest):
                values = check_finite(chunk[0].float().cpu(), stage, model)
                target = output[:, start : start + values.shape[-1]]
                target.copy_(values[:, : target.shape[-1]])
                start += values.shape[-1]
                done += 1
    progress(stage, total, total)
