"""Log mel spectrograms for Synchformer's audio branch, computed as for its training data."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .mel import triangular_filters

SYNC_RATE = 16_000
"""Sample rate in Hz."""
SEGMENT_SAMPLES, SEGMENT_STEP_SAMPLES = 10_240, 5_120
"""Of a segment (0.64 s, as long as 16 frames of the picture), and from one to the next."""
_N_FFT, _WINDOW, _HOP = 1024, 400, 160
_MELS, _MAX_HZ = 128, 8_000.0
_FRAMES = 66  # one more than the spectrogram has
_EPS = 1e-6
_MEAN, _STD = -4.2677393, 4.5689974  # of AudioSet; twice the deviation becomes 1


@lru_cache
def htk_filters() -> Tensor:
    """Mel filters, 1 at the top, spread evenly on HTK's scale: the logarithm of ``1 + f / 700``.

    Returns:
        (128, 513) float32.
    """
    bins = torch.linspace(0, SYNC_RATE / 2, _N_FFT // 2 + 1, dtype=torch.float64)
    mels = torch.linspace(0, math.log1p(_MAX_HZ / 700), _MELS + 2, dtype=torch.float64)
    return triangular_filters(700 * mels.expm1(), bins).float()


def segment_count(samples: int) -> int:
    """Number of whole segments in ``samples`` at ``SYNC_RATE``."""
    return max(0, (samples - SEGMENT_SAMPLES) // SEGMENT_STEP_SAMPLES + 1)


def sync_mel(segments: Tensor) -> Tensor:
    """Log mel spectrograms of segments, scaled as the network expects.

    Args:
        segments: (B, 10240) samples at ``SYNC_RATE``, each analyzed on its own.

    Returns:
        (B, 128, 66) float32; the last frame is padding.
    """
    window = torch.hann_window(_WINDOW, device=segments.device)
    spectrum = torch.stft(
        segments, _N_FFT, _HOP, _WINDOW, window, pad_mode="reflect", return_complex=True
    )
    power = spectrum.real.square() + spectrum.imag.square()
    mel = (htk_filters().to(segments.device) @ power + _EPS).log()
    return (F.pad(mel, (0, _FRAMES - mel.shape[-1])) - _MEAN) / (2 * _STD)
