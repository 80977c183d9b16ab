"""Ambience without a voice, 8 s at 16 kHz, by a fixed seed: what a voice is mixed into."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

RATE = 16_000
SECONDS = 8
LENGTH = SECONDS * RATE
LEVEL = 0.05
"""RMS, which is -26 dBFS."""


def filtered(samples: Tensor, gain: Callable[[Tensor], Tensor]) -> Tensor:
    """(T,) samples with each frequency times ``gain`` of it in Hz."""
    spectrum = torch.fft.rfft(samples)
    return torch.fft.irfft(
        spectrum * gain(torch.fft.rfftfreq(len(samples), 1 / RATE)), n=len(samples)
    )


def _white(draw: torch.Generator) -> Tensor:
    return torch.randn(LENGTH, generator=draw)


def _pink(draw: torch.Generator) -> Tensor:
    return filtered(_white(draw), lambda hertz: hertz.clamp(min=20) ** -0.5)


def _rain(draw: torch.Generator) -> Tensor:
    """A hiss, and 500 drops a second, a few of which are loud."""
    hiss = filtered(_white(draw), lambda hertz: (hertz / 2e3) / (1 + (hertz / 2e3) ** 2) ** 0.75)
    drops = torch.zeros(LENGTH)
    loudness = torch.rand(500 * SECONDS, generator=draw) ** 4
    where = torch.randint(0, LENGTH, (500 * SECONDS,), generator=draw)
    drops[where] = 48 * loudness * torch.randn(500 * SECONDS, generator=draw)
    return hiss + filtered(drops, lambda hertz: torch.exp(-(((hertz - 3.5e3) / 2e3) ** 2)))


def _music(draw: torch.Generator) -> Tensor:
    """Two chords a second of six harmonics, with a melody of slightly shaky tones and a drum."""
    sound = torch.zeros(LENGTH)
    beat = RATE // 2
    time = torch.arange(beat) / RATE
    plucked = torch.exp(-3 * time) * (1 - torch.exp(-200 * time))
    chords = ((220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6))
    for number in range(2 * SECONDS):
        chord = chords[number % 3]
        melody = chord[number % 2] * 2
        part = sound[number * beat : (number + 1) * beat]
        for harmonic in range(1, 7):
            for hertz in chord:
                tone = torch.sin(2 * torch.pi * hertz * harmonic * time)
                part += plucked * tone / harmonic**1.5
            shake = 0.06 * harmonic * torch.sin(2 * torch.pi * 5 * time)
            tone = torch.sin(2 * torch.pi * melody * harmonic * time + shake)
            part += 0.8 * plucked * tone / harmonic
        part[:2000] += torch.randn(2000, generator=draw) * torch.exp(-torch.arange(2000) / 300)
    return sound


def _traffic(draw: torch.Generator) -> Tensor:
    """Rumble that swells, over the harmonics of an engine at 80 Hz."""
    time = torch.arange(LENGTH) / RATE
    rumble = filtered(_white(draw), lambda hertz: 1 / (1 + (hertz / 150) ** 2))
    engine = sum(torch.sin(2 * torch.pi * 80 * harmonic * time) for harmonic in range(1, 9))
    return rumble * (1 + 0.5 * torch.sin(0.6 * torch.pi * time)) + 0.1 * rumble.std() * engine


def _birds(draw: torch.Generator) -> Tensor:
    """Fourteen chirps that rise from 2.5 to 4.5 kHz."""
    sound = 0.02 * _white(draw)
    time = torch.arange(RATE // 4) / RATE
    phase = 2 * torch.pi * (2500 * time + 4000 * time**2) + 4 * torch.pi * torch.sin(190 * time)
    chirp = torch.sin(phase) * torch.sin(4 * torch.pi * time)
    for begin in torch.randint(0, LENGTH - len(chirp), (14,), generator=draw).tolist():
        sound[begin : begin + len(chirp)] += chirp
    return sound


_KINDS = {
    "noise": _white,
    "pink noise": _pink,
    "rain": _rain,
    "music": _music,
    "traffic": _traffic,
    "birds": _birds,
}
AMBIENCES = tuple(_KINDS)


def ambience(kind: str) -> Tensor:
    """(128000,) samples of one of ``AMBIENCES``, of RMS ``LEVEL``."""
    draw = torch.Generator().manual_seed(AMBIENCES.index(kind))
    return at_level(_KINDS[kind](draw), LEVEL)


def at_level(samples: Tensor, level: float) -> Tensor:
    """Samples of an RMS."""
    return samples * (level / samples.square().mean().sqrt())
