"""Rates and sequence lengths: latents, CLIP frames, sync tokens and samples per duration.

The flow network was trained on 8 s but accepts any duration, and every length follows from it.
Frame counts use exact rational arithmetic, so that 9.28 s at 25 fps is 232 frames and not 231.
Only the latent count is computed in floats, in the order of the published code, because its
rounding decides which noise a seed draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .errors import MMAudioError, Problem

CLIP_FPS = 8
SYNC_FPS = 25
SEGMENT_FRAMES = 16  # frames per Synchformer segment
SEGMENT_STEP = 8  # frames between the starts of consecutive segments
SEGMENT_TOKENS = 8  # sync tokens per segment
TEXT_TOKENS = 77
MEL_PER_LATENT = 2
MIN_VIDEO_SECONDS = Fraction(SEGMENT_FRAMES, SYNC_FPS)  # one segment: 0.64 s


@dataclass(frozen=True, kw_only=True)
class AudioFormat:
    """Sample rate, hop length and mel bands of a VAE and its vocoder."""

    sample_rate: int  # Hz
    hop: int  # samples per mel frame
    mels: int
    latent_dim: int

    @property
    def samples_per_latent(self) -> int:
        return MEL_PER_LATENT * self.hop

    @property
    def seconds_per_latent(self) -> float:
        return self.samples_per_latent / self.sample_rate

    def latents(self, seconds: int) -> int:
        """Number of latents that cover ``seconds``."""
        return math.ceil(Fraction(seconds * self.sample_rate, self.samples_per_latent))


FORMAT_16K = AudioFormat(sample_rate=16_000, hop=256, mels=80, latent_dim=20)
FORMAT_44K = AudioFormat(sample_rate=44_100, hop=512, mels=128, latent_dim=40)
FORMATS = (FORMAT_16K, FORMAT_44K)


@dataclass(frozen=True, kw_only=True)
class SequenceLengths:
    """Lengths of the flow network's sequences for one duration."""

    latent: int  # N
    clip: int  # V, frames
    sync: int  # S, tokens
    samples: int  # of the vocoder's output; at least the duration's, trimmed afterwards


def audio_format(latent_dim: int) -> AudioFormat:
    """Audio format of the published models whose latents have ``latent_dim`` channels.

    Raises:
        MMAudioError: no published model has that width.
    """
    for fmt in FORMATS:
        if fmt.latent_dim == latent_dim:
            return fmt
    known = " or ".join(f"{f.latent_dim} ({f.sample_rate} Hz)" for f in FORMATS)
    raise MMAudioError(f"got latents of width {latent_dim}, expected {known}")


def exact_seconds(value: float | int | str | Fraction) -> Fraction:
    """Seconds as written in decimal: 9.28 is 232/25, not the nearest binary fraction.

    Raises:
        MMAudioError: ``value`` is not a finite number.
    """
    if isinstance(value, Fraction):
        return value
    try:
        return Fraction(str(value))
    except ValueError:
        raise MMAudioError(f"got {value!r}, expected a finite number of seconds") from None


def plain_number(value: Any) -> Any:
    """The number that a tensor, an array or a NumPy scalar holds; anything else as it is."""
    single = tuple(getattr(value, "shape", (0,))) in ((), (1,))
    return value.item() if single and not getattr(value, "is_meta", False) else value


def sync_tokens(frames: int) -> int:
    """Number of sync tokens for ``frames`` at 25 fps; 0 if they do not fill one segment."""
    if frames < SEGMENT_FRAMES:
        return 0
    return SEGMENT_TOKENS * ((frames - SEGMENT_FRAMES) // SEGMENT_STEP + 1)


def sequence_lengths(duration: float | Fraction, fmt: AudioFormat) -> SequenceLengths:
    """Sequence lengths for ``duration`` seconds.

    Raises:
        MMAudioError: the duration is shorter than one sync segment (0.64 s).
    """
    exact = exact_seconds(duration)
    if exact < MIN_VIDEO_SECONDS:
        raise MMAudioError(
            f"got a duration of {float(exact):g} s, expected at least "
            f"{float(MIN_VIDEO_SECONDS):g} s ({SEGMENT_FRAMES} frames at {SYNC_FPS} fps)",
            Problem.DURATION_TOO_SHORT,
        )
    latent = math.ceil(float(exact) * fmt.sample_rate / fmt.hop / MEL_PER_LATENT)
    return SequenceLengths(
        latent=latent,
        clip=int(CLIP_FPS * exact),
        sync=sync_tokens(int(SYNC_FPS * exact)),
        samples=latent * fmt.samples_per_latent,
    )


def exact_samples(duration: float | Fraction, sample_rate: int) -> int:
    """Number of samples in ``duration`` seconds: ``round(duration * sample_rate)``."""
    return round(exact_seconds(duration) * sample_rate)
