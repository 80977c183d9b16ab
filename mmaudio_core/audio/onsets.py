"""Onsets: where in a sound something begins to be heard."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import FORMAT_16K
from .channels import mix_to_mono
from .mel import log_mel
from .resample import resample

ONSET_FPS = FORMAT_16K.sample_rate / FORMAT_16K.hop
"""Frames of the strength a second: 62.5."""
ONSET_LEAD = 0.02
"""Seconds by which the strength rises before a sound begins, which its mel window sees coming.
Measured on clicks, bursts and tones in noise: 4 to 28 ms."""
_LEAST_APART = 0.1
"""Seconds between two onsets."""
_AROUND = 0.6
"""Seconds within which an onset stands out."""
_TIMES_MEDIAN = 3.0
_RANGE = 2.5
"""Decades below the loudest; what is quieter is no onset, whatever it does."""
_LEAST = 0.05
"""Decades a band and frame: less is the noise of a steady sound."""


@dataclass(frozen=True)
class Onsets:
    """Onsets of a sound.

    Attributes:
        strength: (n,) by how much the mel bands get louder, in decades; that of frame k belongs to
            ``k / ONSET_FPS + ONSET_LEAD`` seconds.
        times: seconds of those that stand out.
    """

    strength: Tensor
    times: tuple[float, ...]


def find_onsets(waveform: Tensor, sample_rate: int) -> Onsets:
    """Onsets by spectral flux (S. Dixon, "Onset Detection Revisited", DAFx 2006).

    Args:
        waveform: (C, T) samples.
        sample_rate: in Hz.
    """
    mono = resample(mix_to_mono(waveform).reshape(1, -1), sample_rate, FORMAT_16K.sample_rate)
    mel = log_mel(F.pad(mono, (0, max(0, 4 * FORMAT_16K.hop - mono.shape[1]))), FORMAT_16K)[0]
    mel = mel.clamp(min=mel.max() - _RANGE)
    rise = F.pad(mel, (1, 0), mode="replicate").diff(dim=1).clamp(min=0)
    strength = rise.mean(dim=0)
    radius = round(_AROUND / 2 * ONSET_FPS)
    usual = F.pad(strength[None], (radius, radius), mode="replicate")[0]
    usual = usual.unfold(0, 2 * radius + 1, 1).median(dim=1).values
    apart = round(_LEAST_APART * ONSET_FPS)
    highest = F.max_pool1d(strength[None], 2 * apart + 1, 1, apart)[0]
    found = (strength == highest) & (strength > _TIMES_MEDIAN * usual) & (strength > _LEAST)
    times = tuple(float(frame) / ONSET_FPS + ONSET_LEAD for frame in torch.nonzero(found)[:, 0])
    return Onsets(strength=strength, times=times)
