"""Gain and fades of the new sound, and the original beneath it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from .resample import resample

_DEPTH = 12.0
"""Decibels by which ducking lowers the original."""
_SILENT, _LOUD = -50.0, -30.0
"""Level (RMS, dBFS) of the new sound at which ducking begins, and at which it is complete."""
_ATTACK, _RELEASE = 0.05, 0.4
"""Seconds in which ducking goes 63% of its way down, and up again."""
_CONTROL = 100
"""Levels a second that ducking follows."""
_NO_LEVEL = 1e-10
"""Power that counts as silence, so that its logarithm exists: -100 dBFS."""


def gain_and_fades(
    waveform: Tensor, sample_rate: int, *, gain_db: float, fade_in: float, fade_out: float
) -> Tensor:
    """(C, T) samples with gain, and with fades in the shape of a raised cosine's half."""
    if gain_db:
        waveform = waveform * 10 ** (gain_db / 20)
    length = waveform.shape[1]
    rise, fall = (min(length, round(fade * sample_rate)) for fade in (fade_in, fade_out))
    if rise or fall:
        waveform = waveform.clone()
        waveform[:, :rise] *= _rise(rise)
        waveform[:, length - fall :] *= _rise(fall).flip(0)
    return waveform


def _rise(count: int) -> Tensor:
    return (1 - torch.cos(torch.pi * (torch.arange(count) + 0.5) / max(1, count))) / 2


def mix(new: Tensor, new_rate: int, old: Tensor, old_rate: int, duck: bool) -> tuple[Tensor, int]:
    """The two sounds (C, T) as one, at the higher of their rates, as long as the longer.

    It has two channels unless both have one. The sum may exceed 1.
    """
    rate = max(new_rate, old_rate)
    new, old = resample(new, new_rate, rate), resample(old, old_rate, rate)
    length = max(new.shape[1], old.shape[1])
    channels = max(new.shape[0], old.shape[0])
    result = torch.zeros(channels, length)
    result[:, : new.shape[1]] = new
    result[:, : old.shape[1]] += old * ducking(new, rate, old.shape[1]) if duck else old
    return result, rate


def ducking(new: Tensor, rate: int, length: int) -> Tensor:
    """The factor (length,) for what is under ``new``: an envelope follower, smooth in decibels."""
    hop = max(1, rate // _CONTROL)
    steps = -(-length // hop) + 1
    power = new[:, : steps * hop].square().mean(0)
    power = torch.nn.functional.pad(power, (0, steps * hop - power.shape[0]))
    level = 10 * power.view(steps, hop).mean(1).clamp_min(_NO_LEVEL).log10()
    wanted = ((level - _SILENT) / (_LOUD - _SILENT)).clamp(0, 1)
    down, up = (1 - 2.718281828 ** (-hop / rate / seconds) for seconds in (_ATTACK, _RELEASE))
    reached, amount = 0.0, list[float]()
    levels = cast(list[float], wanted.tolist())  # pyright: ignore[reportUnknownMemberType]
    for value in levels:
        reached += (value - reached) * (down if value > reached else up)
        amount.append(reached)
    smooth = torch.nn.functional.interpolate(
        torch.tensor(amount)[None, None], size=steps * hop, mode="linear"
    )[0, 0, :length]
    return 10 ** (-_DEPTH / 20 * smooth)
