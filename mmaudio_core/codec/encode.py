"""From sound to latents: resampling, mel analysis and the VAE's encoder."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio.channels import mix_to_mono
from ..audio.mel import log_mel
from ..audio.resample import resample
from ..audio.waveform import Audio, check_finite_samples
from ..checkpoint import PartKind
from ..config import exact_samples, sequence_lengths
from ..models.chunked import chunk_bounds
from ..models.vae import VAE
from ..progress import Progress, no_progress, tick_on_forward
from ..providers import ModelProvider, check_finite
from .decode import BYTES_PER_VALUE, MARGIN_LATENTS, VAE_CHANNELS, VAE_SECONDS

ENCODER_STAGE = "VAE encoder"
_LIVE_TENSORS = 64  # of VAE_CHANNELS at the latent's rate, for the estimate of memory


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What the VAE takes for the latents of a sound: a normal distribution of each value.

    Attributes:
        mean, std: (takes, N, latent_dim), float32 on the CPU, on the VAE's scale.
    """

    mean: Tensor
    std: Tensor

    def sample(self, generator: torch.Generator) -> Tensor:
        """Latents drawn from it."""
        return self.mean + self.std * torch.randn(self.mean.shape, generator=generator)


def encode(
    networks: ModelProvider,
    audio: Audio,
    duration: Fraction,
    progress: Progress = no_progress,
) -> Tensor:
    """Latents of sound: the mean of ``encode_posterior``, (takes, N, latent_dim)."""
    return encode_posterior(networks, audio, duration, progress).mean


def encode_posterior(
    networks: ModelProvider,
    audio: Audio,
    duration: Fraction,
    progress: Progress = no_progress,
) -> Posterior:
    """The VAE's posterior of sound.

    Args:
        networks: provides the VAE.
        audio: takes of any number of channels, which are mixed to one.
        duration: seconds of the result; the sound is trimmed or padded with silence.
        progress: called at least once per block.

    Raises:
        MediaError: the audio contains NaN or infinity.
        NumericsError: NaN or infinity in the VAE's output.
    """
    check_finite_samples(audio.waveforms)
    fmt = networks.params.audio
    lengths = sequence_lengths(duration, fmt)
    mono = [mix_to_mono(take)[None] for take in audio.waveforms]
    mono = torch.cat([resample(take, audio.sample_rate, fmt.sample_rate) for take in mono])
    mono = mono[:, : exact_samples(duration, fmt.sample_rate)]
    mono = F.pad(mono, (0, lengths.samples - mono.shape[1]))

    longest = fmt.latents(VAE_SECONDS)
    values = min(lengths.latent, longest + MARGIN_LATENTS) * VAE_CHANNELS * _LIVE_TENSORS
    model = networks.acquire(PartKind.VAE, values * BYTES_PER_VALUE)
    vae = model.network
    assert isinstance(vae, VAE)
    total = len(mono) * len(chunk_bounds(lengths.latent, longest))
    chunks: list[Tensor] = []  # mean and log variance (1, 2 * latent_dim, n)
    with torch.no_grad(), tick_on_forward(vae, lambda: progress(ENCODER_STAGE, len(chunks), total)):
        for take in mono:
            mel = log_mel(take[None].to(model.device), fmt).to(model.dtype)
            for moments in vae.encode_chunks(mel, longest):
                chunk = torch.cat(moments, dim=1).float().cpu()
                chunks.append(check_finite(chunk, ENCODER_STAGE, model))
    progress(ENCODER_STAGE, total, total)
    moments = torch.cat(chunks, dim=-1)[0]  # (2 * latent_dim, takes * N)
    mean, logvar = torch.unflatten(moments, 1, (len(mono), -1)).permute(1, 2, 0).chunk(2, dim=-1)
    return Posterior(mean=mean, std=(logvar / 2).exp())
