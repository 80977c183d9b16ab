"""Log mel spectrograms for the VAE's encoder, computed as for its training data."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import FORMAT_16K, AudioFormat
from ..errors import MediaError

_FLOOR = 1e-5
_CHUNK = 4096  # frames whose spectra are held at once
# Slaney's scale: linear up to 1000 Hz, logarithmic above
_LINEAR_STEP = 200 / 3
_BREAK_HZ = 1000.0
_LOG_STEP = math.log(6.4) / 27


def _to_mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _LINEAR_STEP
    return _BREAK_HZ / _LINEAR_STEP + math.log(hertz / _BREAK_HZ) / _LOG_STEP


def _to_hertz(mel: Tensor) -> Tensor:
    break_mel = _BREAK_HZ / _LINEAR_STEP
    return torch.where(
        mel < break_mel, mel * _LINEAR_STEP, _BREAK_HZ * torch.exp(_LOG_STEP * (mel - break_mel))
    )


@lru_cache
def mel_filters(sample_rate: int, n_fft: int, mels: int, max_hz: float) -> Tensor:
    """Mel filters on Slaney's scale, normalized by area (M. Slaney, Auditory Toolbox, 1998).

    Returns:
        (mels, n_fft / 2 + 1) float32.
    """
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    edges = _to_hertz(torch.linspace(0, _to_mel(max_hz), mels + 2, dtype=torch.float64))
    triangles = triangular_filters(edges, bins)
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).float()


def triangular_filters(edges: Tensor, bins: Tensor) -> Tensor:
    """Triangles that reach from each edge to the next but one, 1 at the edge between.

    Args:
        edges: (n + 2,) in Hz, rising.
        bins: (m,) frequencies in Hz.

    Returns:
        (n, m).
    """
    width = edges.diff()
    ramp = edges[:, None] - bins
    rising, falling = -ramp[:-2] / width[:-1, None], ramp[2:] / width[1:, None]
    return torch.minimum(rising, falling).clamp(min=0)


def log_mel(waveform: Tensor, fmt: AudioFormat) -> Tensor:
    """Log mel spectrogram: base 10 for the 16 kHz format, natural for the 44.1 kHz one.

    Args:
        waveform: (B, T) samples at ``fmt.sample_rate``; clipped to [-1, 1].
        fmt: the sample rate, hop and number of mel bands.

    Returns:
        (B, mels, T // hop) float32.

    Raises:
        MediaError: if the waveform is too short for one analysis window.
    """
    n_fft = 4 * fmt.hop
    pad = (n_fft - fmt.hop) // 2
    if waveform.shape[-1] <= pad:
        raise MediaError(
            f"got {waveform.shape[-1]} audio samples, expected more than {pad}"
            f" ({pad / fmt.sample_rate:.3f} s at {fmt.sample_rate} Hz)"
        )
    padded = F.pad(waveform.clamp(-1, 1), (pad, pad), mode="reflect")
    window = torch.hann_window(n_fft, device=waveform.device)
    filters = mel_filters(
        fmt.sample_rate, n_fft, fmt.mels, 8000.0 if fmt is FORMAT_16K else 22050.0
    ).to(waveform.device)
    parts: list[Tensor] = []
    frames = waveform.shape[-1] // fmt.hop
    for start in range(0, frames, _CHUNK):
        stop = min(start + _CHUNK, frames)
        chunk = padded[:, start * fmt.hop : (stop - 1) * fmt.hop + n_fft]
        spectrum = torch.stft(
            chunk, n_fft, fmt.hop, window=window, center=False, return_complex=True
        )
        magnitude = torch.sqrt(spectrum.real.square() + spectrum.imag.square() + 1e-9)
        parts.append((filters @ magnitude).clamp(min=_FLOOR))
    mel = torch.cat(parts, dim=-1)
    return mel.log10() if fmt is FORMAT_16K else mel.log()
