"""From sound to latents: resampling, mel analysis, the VAE's encoder."""

from __future__ import annotations

from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio.mel import log_mel
from ..audio.resample import resample
from ..audio.waveform import check_waveform_batch
from ..checkpoint import PartKind
from ..config import exact_samples, sequence_lengths
from ..models.chunked import chunk_bounds
from ..models.vae import VAE
from ..progress import Progress, no_progress, tick_on_forward
from ..providers import ModelProvider, check_finite
from .decode import MARGIN, VAE_SECONDS

ENCODER_STAGE = "VAE encoder"


def encode(
    networks: ModelProvider,
    waveform: Tensor,
    sample_rate: int,
    duration: Fraction,
    progress: Progress = no_progress,
) -> Tensor:
    """Latents of sound: the mean of the VAE's posterior.

    Args:
        networks: where the VAE comes from.
        waveform: (takes, channels, T) in [-1, 1]; channels are averaged.
        sample_rate: of ``waveform``, Hz.
        duration: seconds of latent; the sound is cut to it or filled with silence.
        progress: called at least once a block.

    Returns:
        (takes, N, latent_dim), float32 on the CPU, on the VAE's scale.

    Raises:
        MediaError: a waveform of another shape, empty, or with NaN or infinity in it.
    """
    fmt = networks.params.audio
    check_waveform_batch(waveform)
    lengths = sequence_lengths(duration, fmt)
    mono = waveform.float().mean(dim=1).cpu()
    mono = torch.cat([resample(take[None], sample_rate, fmt.sample_rate) for take in mono])
    mono = mono[:, : exact_samples(duration, fmt.sample_rate)]
    mono = F.pad(mono, (0, lengths.samples - mono.shape[1]))
    longest = fmt.latents(VAE_SECONDS)
    held = min(lengths.latent, longest + MARGIN) * 4
    placed = networks.acquire(PartKind.VAE, held * 2048 * 4 * 16)
    vae = placed.network
    assert isinstance(vae, VAE)
    total = len(mono) * len(chunk_bounds(lengths.latent, longest))
    latents: list[Tensor] = []
    with (
        torch.no_grad(),
        tick_on_forward(vae, lambda: progress(ENCODER_STAGE, len(latents), total)),
    ):
        for sound in mono:
            mel = log_mel(sound[None].to(placed.device), fmt).to(placed.dtype)
            for mean in vae.mean_pieces(mel, longest):
                latents.append(check_finite(mean.float().cpu(), "VAE encoder", placed))
    progress(ENCODER_STAGE, total, total)
    whole = torch.cat(latents, dim=-1)[0]  # (latent_dim, takes * N)
    return whole.reshape(whole.shape[0], len(mono), -1).permute(1, 2, 0)
