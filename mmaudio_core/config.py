"""How many latents, CLIP frames, sync tokens and samples a duration makes.

The flow network is trained on 8 s but takes any duration; every length follows from it. Frame
counts are exact rational arithmetic, so that 9.28 s at 25 fps is 232 frames and not 231. The
latent count alone is computed in floats, in the published order, because its rounding decides
which noise a seed draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from .errors import MMAudioError

CLIP_FPS = 8
SYNC_FPS = 25
SEGMENT_FRAMES = 16  # frames of one Synchformer segment
SEGMENT_STEP = 8  # frames between the starts of two segments
SEGMENT_TOKENS = 8  # sync tokens of one segment
TEXT_TOKENS = 77
MEL_PER_LATENT = 2
MIN_VIDEO_SECONDS = Fraction(SEGMENT_FRAMES, SYNC_FPS)  # one segment: 0.64 s


@dataclass(frozen=True, kw_only=True)
class AudioFormat:
    """What a latent width stands for: the rate, hop and mel bands of its VAE and vocoder."""

    sample_rate: int  # Hz
    hop: int  # samples a mel frame
    mels: int
    latent_dim: int

    @property
    def samples_per_latent(self) -> int:
        return MEL_PER_LATENT * self.hop

    def latents(self, seconds: int) -> int:
        """Latents that so many seconds need."""
        return math.ceil(Fraction(seconds * self.sample_rate, self.samples_per_latent))


FORMAT_16K = AudioFormat(sample_rate=16_000, hop=256, mels=80, latent_dim=20)
FORMAT_44K = AudioFormat(sample_rate=44_100, hop=512, mels=128, latent_dim=40)
FORMATS = (FORMAT_16K, FORMAT_44K)


@dataclass(frozen=True, kw_only=True)
class SequenceLengths:
    """Lengths of the streams of one job."""

    latent: int  # N
    clip: int  # V, frames
    sync: int  # S, tokens
    samples: int  # samples the vocoder makes; at least the duration's, trimmed afterwards


def audio_format(latent_dim: int) -> AudioFormat:
    """The format of a latent width.

    Raises:
        MMAudioError: no published model has that width.
    """
    for fmt in FORMATS:
        if fmt.latent_dim == latent_dim:
            return fmt
    known = " or ".join(f"{f.latent_dim} ({f.sample_rate} Hz)" for f in FORMATS)
    raise MMAudioError(f"a latent width of {latent_dim} was got, {known} expected")


def exact_seconds(value: float | int | str | Fraction) -> Fraction:
    """Seconds as a person wrote them: 9.28 is 232/25, not its nearest binary fraction.

    Raises:
        MMAudioError: not a finite number.
    """
    if isinstance(value, Fraction):
        return value
    try:
        return Fraction(str(value))
    except ValueError:
        raise MMAudioError(f"{value!r} was got where a number of seconds is expected") from None


def sync_tokens(frames: int) -> int:
    """Sync tokens of that many 25 fps frames; 0 where they do not fill one segment."""
    if frames < SEGMENT_FRAMES:
        return 0
    return SEGMENT_TOKENS * ((frames - SEGMENT_FRAMES) // SEGMENT_STEP + 1)


def sequence_lengths(duration: float | Fraction, fmt: AudioFormat) -> SequenceLengths:
    """Stream lengths for ``duration`` seconds.

    Raises:
        MMAudioError: shorter than the 0.64 s that one sync segment needs.
    """
    exact = exact_seconds(duration)
    if exact < MIN_VIDEO_SECONDS:
        raise MMAudioError(
            f"a duration of {float(exact):g} s was got; the model needs at least "
            f"{float(MIN_VIDEO_SECONDS):g} s (16 frames at 25 fps): ask for a longer duration"
        )
    latent = math.ceil(float(exact) * fmt.sample_rate / fmt.hop / MEL_PER_LATENT)
    return SequenceLengths(
        latent=latent,
        clip=int(CLIP_FPS * exact),
        sync=sync_tokens(int(SYNC_FPS * exact)),
        samples=latent * fmt.samples_per_latent,
    )


def exact_samples(duration: float | Fraction, sample_rate: int) -> int:
    """Samples of exactly ``duration`` seconds: ``round(duration * sample_rate)``."""
    return round(exact_seconds(duration) * sample_rate)
