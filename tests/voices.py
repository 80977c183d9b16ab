"""How well voices are found: ``python -m tests.voices [FILE ...]`` prints a table.

Speech by several voices of espeak-ng (``apt install espeak-ng``), a murmur (the same behind a
wall), singing and humming of made vowels are mixed into ambience at 0, -10 and -20 dB. The table
says which share of the speech's seconds is found; its first line, how much is found where nobody
speaks. Files with sound are further ambience, and should hold no voice.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from mmaudio_core.audio.resample import resample
from mmaudio_core.scoring.voice import find_voice

from .core.made_ambience import AMBIENCES, LENGTH, LEVEL, RATE, ambience, at_level, filtered
from .core.made_sounds import heard

TEXT = "Well, I never thought we would see it again, but there it was, right in front of us."
VOICES = ("en-us", "en-us+f3", "en-gb+m3", "de", "fr-fr+f2", "ru", "en-us+croak", "en-us+whisper")
DECIBELS = (0, -10, -20)
BEGIN = 1.5
"""Seconds of ambience before the voice."""
_QUIET = 0.03  # of the loudest frame: pauses count as no speech
_FRAME = RATE // 100
# Formants of sung vowels: Hz, bandwidth in Hz, level.
_AH = ((800, 80, 1.0), (1200, 90, 0.6), (2800, 150, 0.25))
_OH = ((450, 80, 1.0), (800, 80, 0.5), (2830, 150, 0.15))
_EE = ((300, 60, 1.0), (2200, 100, 0.4), (3000, 150, 0.3))
_MM = ((250, 80, 1.0), (1000, 100, 0.05))
_TUNE = (0, 2, 4, 5, 7, 5, 4, 2)


def speak(voice: str, text: str = TEXT) -> Tensor:
    """(T,) samples of a text in a voice of espeak-ng."""
    done = subprocess.run(
        ["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True
    )
    with av.open(io.BytesIO(done.stdout)) as container:
        rate = container.streams.audio[0].rate
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    samples = np.concatenate(frames, 1).astype(np.float32) / (1 << 15)
    return resample(torch.from_numpy(samples), rate, RATE)[0]


def sing(hertz: float, vowels: tuple[tuple[tuple[int, int, float], ...], ...]) -> Tensor:
    """Eight notes of half a second, from a pitch on, with vibrato."""
    return torch.cat(
        [
            _note(hertz * 2 ** (step / 12), vowels[number % len(vowels)])
            for number, step in enumerate(_TUNE)
        ]
    )


def _note(hertz: float, formants: tuple[tuple[int, int, float], ...]) -> Tensor:
    time = torch.arange(RATE // 2) / RATE
    pitch = hertz * (1 + 0.02 * torch.sin(11 * torch.pi * time))
    phase = 2 * torch.pi * pitch.cumsum(0) / RATE
    sound = torch.zeros_like(time)
    for harmonic in range(1, int(7000 / hertz)):
        level = sum(
            gain / (1 + ((harmonic * hertz - center) / width) ** 2)
            for center, width, gain in formants
        )
        sound += level / harmonic**0.6 * torch.sin(harmonic * phase)
    return sound * torch.minimum(time / 0.08, (0.5 - time) / 0.1).clamp(0, 1)


def place(voice: Tensor) -> tuple[Tensor, Tensor]:
    """A voice in a take of 8 s, of RMS ``LEVEL`` while it speaks, and in which frames it does.

    Returns:
        (T,) samples and (T / 10 ms,) bool.
    """
    placed = torch.zeros(LENGTH)
    begin = round(BEGIN * RATE)
    voice = voice[: LENGTH - begin]
    placed[begin : begin + len(voice)] = voice
    levels = placed.view(-1, _FRAME).square().mean(dim=1).sqrt()
    speaks = levels > _QUIET * levels.max()
    level = placed.view(-1, _FRAME)[speaks].square().mean().sqrt()
    return placed * (LEVEL / level), speaks


def found_share(take: Tensor, speaks: Tensor) -> float:
    """Share of the frames with speech in which a voice is found."""
    result = find_voice(take[None], RATE)
    if result.share is None:
        sys.exit(result.reason)
    found = torch.zeros_like(speaks)
    for begin, end in result.intervals:
        found[round(100 * begin) : round(100 * end)] = True
    return float(found[speaks].float().mean())


def _read(path: str) -> Tensor:
    samples, rate = heard(Path(path))
    samples = resample(samples, rate, RATE).mean(dim=0)
    return at_level(samples.repeat(-(-LENGTH // len(samples)))[:LENGTH], LEVEL)


def main(files: list[str]) -> None:
    grounds = {kind: ambience(kind) for kind in AMBIENCES} | {
        Path(path).name[:12]: _read(path) for path in files
    }
    voices = {voice: speak(voice) for voice in VOICES}
    for voice in VOICES[:2]:
        murmur = filtered(voices[voice], lambda hertz: 1 / (1 + (hertz / 500) ** 4))
        voices[f"murmur {voice}"] = murmur
    voices |= {f"singing {hertz} Hz": sing(hertz, (_AH, _OH, _EE)) for hertz in (147, 220, 330)}
    voices["humming 130 Hz"] = sing(130, (_MM,))
    everywhere = torch.ones(LENGTH // _FRAME, dtype=torch.bool)
    print(f"found, in % of the seconds, at {', '.join(map(str, DECIBELS))} dB")
    print(" " * 18 + "".join(f"{kind:>14}" for kind in grounds))
    alone = (100 * found_share(ground, everywhere) for ground in grounds.values())
    print(f"{'nobody':18}" + "".join(f"{share:14.0f}" for share in alone))
    for name, voice in voices.items():
        placed, speaks = place(voice)
        cells = (
            "/".join(
                f"{100 * found_share(ground + placed * 10 ** (level / 20), speaks):.0f}"
                for level in DECIBELS
            )
            for ground in grounds.values()
        )
        print(f"{name:18}" + "".join(f"{cell:>14}" for cell in cells))


if __name__ == "__main__":
    main(sys.argv[1:])
