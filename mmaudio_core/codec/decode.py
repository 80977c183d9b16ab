"""From latents to sound: the VAE's decoder and the vocoder, a few seconds at a time.

Pieces have margins as wide as the networks see, so they make what the whole would, and memory
beside the result does not grow with the duration. The VAE's one attention sees the whole sequence;
here it sees 32 s before and after a piece of 16 s: all of it up to 48 s. It was trained on 8 s.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from ..checkpoint import PartKind
from ..config import MEL_PER_LATENT, exact_samples
from ..errors import NumericsError
from ..models.bigvgan import BigVGAN
from ..models.chunked import chunk_bounds
from ..models.vae import NEIGHBOURS, VAE
from ..progress import Progress, no_progress, tick_on_forward
from ..providers import LoadedModel, ModelProvider, check_finite

VAE_STAGE, VOCODER_STAGE = "VAE", "vocoder"
# Seconds of a piece. A CPU is fastest where activations stay near its caches and margins are few
# (2 s and 4 s take 4 % more); other devices want fewer, larger operations.
VAE_SECONDS = 16
_VOCODER_SECONDS, _VOCODER_SECONDS_CPU = 8, 3
MARGIN = 32  # latents, at least what the margins of a piece add; for the estimate of memory


def decode(
    networks: ModelProvider, latents: Tensor, duration: Fraction, progress: Progress = no_progress
) -> Tensor:
    """Waveforms of latents on the VAE's scale, a take at a time.

    Args:
        networks: where VAE and vocoder come from.
        latents: (takes, N, latent_dim).
        duration: seconds the result is cut to.
        progress: called at least once a block.

    Returns:
        (takes, 1, round(duration * sample_rate)), float32 on the CPU, in [-1, 1].

    Raises:
        NumericsError: NaN or infinity in the latents, or from a network.
    """
    if not bool(torch.isfinite(latents).all()):
        raise NumericsError(
            "the latents to decode hold NaN or infinity, finite ones were expected: whatever "
            "sampled them broke, so choose precision fp32 or other weights, or leave a patch out"
        )
    fmt = networks.params.audio
    takes, length, _ = latents.shape

    longest = fmt.latents(VAE_SECONDS)
    attended = min(length, (2 * NEIGHBOURS + 1) * longest)
    held = min(length, longest + MARGIN) * 16 + attended * 2
    placed = networks.acquire(PartKind.VAE, held * 2048 * 4)
    mels = torch.empty(takes, fmt.mels, length * MEL_PER_LATENT)
    _fill(mels, latents.transpose(1, 2), longest, VAE_STAGE, placed, progress)

    held = min(length, fmt.latents(_VOCODER_SECONDS) + MARGIN) * fmt.samples_per_latent
    placed = networks.acquire(PartKind.VOCODER, held * 24 * 4 * 16)
    on_cpu = placed.device.type == "cpu"
    longest = fmt.latents(_VOCODER_SECONDS_CPU if on_cpu else _VOCODER_SECONDS) * MEL_PER_LATENT
    samples = min(exact_samples(duration, fmt.sample_rate), length * fmt.samples_per_latent)
    waveforms = torch.empty(takes, 1, samples)
    _fill(waveforms, mels, longest, VOCODER_STAGE, placed, progress)
    return waveforms


def _fill(
    results: Tensor,
    inputs: Tensor,
    longest: int,
    stage: str,
    placed: LoadedModel,
    progress: Progress,
) -> None:
    """Run a network on each input and write what it makes into ``results``, piece by piece."""
    network = placed.network
    assert isinstance(network, VAE | BigVGAN)
    total = len(inputs) * len(chunk_bounds(inputs.shape[-1], longest))
    done = 0
    with torch.no_grad(), tick_on_forward(network, lambda: progress(stage, done, total)):
        for given, result in zip(inputs, results, strict=True):
            x = given[None].to(device=placed.device, dtype=placed.dtype)
            at = 0
            for made in network.pieces(x, longest):
                room = result[:, at : at + made.shape[-1]]
                room.copy_(check_finite(made[0].float().cpu(), stage, placed)[:, : room.shape[-1]])
                at += made.shape[-1]
                done += 1
    progress(stage, total, total)
