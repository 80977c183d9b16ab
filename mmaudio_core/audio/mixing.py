"""Gain and fades of new audio, and mixing it with a video's own.

libav's ``sidechaincompress`` cannot replace the ducking here: how far and for how long it ducks
depends on how loud the new audio is.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from .resample import resample

_DUCKING_DEPTH = 12.0
"""Decibels by which audio is lowered under louder audio."""
_DUCK_FROM, _DUCK_FULLY = -50.0, -30.0
"""Level (RMS, dBFS) of the new audio at which ducking begins, and at which it is complete."""
_ATTACK, _RELEASE = 0.05, 0.4
"""Time constants of ducking in seconds."""
_CONTROL_RATE = 100
"""Levels per second that ducking follows."""
_SILENCE = 1e-10
"""Power of -100 dBFS, the lowest level told apart."""


def gain_and_fades(
    waveform: Tensor, sample_rate: int, *, gain_db: float, fade_in: float, fade_out: float
) -> Tensor:
    """Apply a gain in dB, and raised-cosine fades in seconds, to (C, T) samples."""
    waveform = waveform * 10 ** (gain_db / 20)
    length = waveform.shape[1]
    rise, fall = (min(length, round(fade * sample_rate)) for fade in (fade_in, fade_out))
    waveform[:, :rise] *= _fade_curve(rise)
    waveform[:, length - fall :] *= _fade_curve(fall).flip(0)
    return waveform


def _fade_curve(count: int) -> Tensor:
    return (1 - torch.cos(torch.pi * (torch.arange(count) + 0.5) / max(1, count))) / 2


def mix(
    new: Tensor, new_rate: int, source: Tensor, source_rate: int, *, duck: bool
) -> tuple[Tensor, int]:
    """Mix new audio (C, T) with a video's own (C, T), each with 1 or 2 channels.

    Args:
        new, new_rate: the new audio and its sample rate in Hz.
        source, source_rate: the video's own.
        duck: lower the video's own audio while the new audio is loud.

    Returns:
        (C, T) samples at the higher of the two rates, with the larger number of channels and as
        long as the longer one; the sum may exceed 1.
    """
    rate = max(new_rate, source_rate)
    new, source = resample(new, new_rate, rate), resample(source, source_rate, rate)
    length = max(new.shape[1], source.shape[1])
    channels = max(new.shape[0], source.shape[0])
    result = torch.zeros(channels, length)
    result[:, : new.shape[1]] = new
    if duck:
        source = source * ducking_gain(new, rate, source.shape[1])
    result[:, : source.shape[1]] += source
    return result, rate


def ducking_gain(new: Tensor, sample_rate: int, length: int) -> Tensor:
    """Gain (length,) for audio under ``new`` (C, T): an envelope follower, smooth in decibels."""
    hop = max(1, sample_rate // _CONTROL_RATE)
    steps = -(-length // hop) + 1
    power = new[:, : steps * hop].square().mean(0)
    power = torch.nn.functional.pad(power, (0, steps * hop - power.shape[0]))
    level = 10 * power.view(steps, hop).mean(1).clamp_min(_SILENCE).log10()
    targets = ((level - _DUCK_FROM) / (_DUCK_FULLY - _DUCK_FROM)).clamp(0, 1)
    attack, release = (1 - math.exp(-hop / sample_rate / t) for t in (_ATTACK, _RELEASE))
    amount, amounts = 0.0, list[float]()
    for target in cast(list[float], targets.tolist()):  # pyright: ignore[reportUnknownMemberType]
        amount += (target - amount) * (attack if target > amount else release)
        amounts.append(amount)
    smooth = torch.nn.functional.interpolate(
        torch.tensor(amounts)[None, None], size=steps * hop, mode="linear"
    )[0, 0, :length]
    return 10 ** (-_DUCKING_DEPTH / 20 * smooth)
