"""The sound: a waveform, checked, shaped, mixed, delayed and cut to a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from ..audio.limiter import limit_true_peaks, limiter_notes
from ..audio.loudness import normalize_loudness
from ..audio.mixing import gain_and_fades, mix
from ..audio.resample import resample
from ..audio.waveform import AAC_RATES, check_waveform
from ..errors import MediaError
from ..progress import Progress, no_progress
from .options import AudioOptions
from .source_audio import SourceAudio

_MIXED_RATE = 48000
"""Highest sample rate of a mix; that of all films."""


@dataclass(frozen=True, kw_only=True)
class PreparedAudio:
    """One take, ready to encode.

    Args:
        waveform: (C, T) float32 in [-1, 1] on the CPU, C 1 or 2.
        sample_rate: samples a second.
        silence: samples of silence before it.
    """

    waveform: Tensor
    sample_rate: int
    silence: int = 0

    @property
    def samples(self) -> int:
        """Samples in all."""
        return self.silence + self.waveform.shape[1]

    def piece(self, begin: int, count: int) -> Tensor:
        """Up to ``count`` samples from ``begin`` on, (C, n)."""
        end = min(begin + count, self.samples)
        quiet = max(0, min(end, self.silence) - begin)
        heard = self.waveform[:, max(0, begin - self.silence) : max(0, end - self.silence)]
        return torch.nn.functional.pad(heard, (quiet, 0)).contiguous()

    def at(self, rate: int) -> PreparedAudio:
        """The same at another sample rate."""
        if rate == self.sample_rate:
            return self
        return PreparedAudio(
            waveform=resample(self.waveform, self.sample_rate, rate).clamp(-1, 1),
            sample_rate=rate,
            silence=round(Fraction(self.silence * rate, self.sample_rate)),
        )


def audio_end(waveform: Tensor, sample_rate: int, start: Fraction) -> Fraction:
    """Seconds into the picture where a take that starts at ``start`` ends."""
    return start + Fraction(waveform.shape[-1], sample_rate)


def fit_audio(
    waveform: Tensor,
    sample_rate: int,
    *,
    start: Fraction,
    length: Fraction,
    options: AudioOptions | None = None,
    original: SourceAudio | None = None,
    progress: Progress = no_progress,
) -> tuple[PreparedAudio, tuple[str, ...]]:
    """Check a take and lay it over a picture of ``length`` seconds from ``start`` on.

    Silence rather than an empty edit or a late first timestamp delays it, since players differ in
    how they take those. What would sound past the picture's end is cut off, with a note. Then come
    gain and fades, the original where it is mixed in, and loudness.

    Args:
        original: the video's own sound, which ``options`` mix in; None where there is none.

    Raises:
        MediaError: on another shape, NaN or infinity, or a start outside the picture.
    """
    check_waveform(waveform, sample_rate)
    if not 0 <= start < length:
        raise MediaError(
            f"the sound is to start at {float(start):g} s of a picture that lasts"
            f" {float(length):g} s; expected a start within it. Lower start_offset."
        )
    options = options or AudioOptions()
    silence = round(start * sample_rate)
    room = math.ceil(length * sample_rate) - silence
    notes: tuple[str, ...] = ()
    if waveform.shape[1] > room:
        over = (waveform.shape[1] - room) / sample_rate
        notes = (f"The sound was {over:.3g} s longer than the picture and was cut at its end.",)
    heard = waveform.detach()[:, :room].to("cpu", torch.float32)
    heard = gain_and_fades(
        heard,
        sample_rate,
        gain_db=options.gain_db,
        fade_in=options.fade_in,
        fade_out=options.fade_out,
    )
    sound = PreparedAudio(waveform=heard, sample_rate=sample_rate, silence=silence)
    if options.mixes and original is not None:
        sound = _mixed(sound, original, options.original == "duck", progress)
    sound, more = _levelled(sound, options)
    return sound, (*notes, *more)


def _mixed(
    sound: PreparedAudio, original: SourceAudio, duck: bool, progress: Progress
) -> PreparedAudio:
    old, rate = original.samples(progress)
    if rate not in AAC_RATES or rate > _MIXED_RATE:
        old, rate = resample(old, rate, _MIXED_RATE), _MIXED_RATE
    new = sound.piece(0, sound.samples)
    waveform, rate = mix(new, sound.sample_rate, old, rate, duck=duck)
    return PreparedAudio(waveform=waveform, sample_rate=rate)


def _levelled(sound: PreparedAudio, options: AudioOptions) -> tuple[PreparedAudio, tuple[str, ...]]:
    """The sound at the loudness asked for, or else as it is, but nowhere above full scale."""
    waveform, notes = sound.waveform, tuple[str, ...]()
    if options.loudness is not None:
        waveform, notes = normalize_loudness(waveform, sound.sample_rate, options.loudness)
    elif options.mixes or options.gain_db > 0:
        waveform, reduction = limit_true_peaks(waveform, sound.sample_rate)
        notes = limiter_notes(reduction)
    if not waveform.isfinite().all():
        raise MediaError(
            "mixing gave NaN or infinity; expected finite samples, so nothing was written. Set"
            " gain_db to 0, loudness to off and original_audio to replace to see which does it."
        )
    waveform = waveform.clamp(-1, 1)
    return PreparedAudio(
        waveform=waveform, sample_rate=sound.sample_rate, silence=sound.silence
    ), notes
