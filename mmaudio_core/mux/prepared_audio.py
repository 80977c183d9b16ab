"""Audio ready to encode: processed, placed in the video, mixed and limited."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from ..audio.channels import mix_to_stereo
from ..audio.limiter import limit_true_peaks, limiter_notes
from ..audio.loudness import normalize_loudness
from ..audio.mixing import gain_and_fades, mix
from ..audio.resample import resample
from ..audio.waveform import check_waveform, leave_out_beginning
from ..errors import MediaError, Problem
from .options import AudioOptions

_MAX_MIX_RATE = 48000


@dataclass(frozen=True, kw_only=True)
class PreparedAudio:
    """Audio ready to encode.

    Attributes:
        waveform: (C, T) float32 in [-1, 1] on the CPU, C as in ``audio.channels``.
        sample_rate: in Hz.
        silence: samples of silence before it.
    """

    waveform: Tensor
    sample_rate: int
    silence: int = 0

    @property
    def length(self) -> int:
        """Samples including the silence."""
        return self.silence + self.waveform.shape[1]

    def chunk(self, begin: int, count: int) -> Tensor:
        """Up to ``count`` samples from ``begin`` on, (C, n), silence included."""
        end = min(begin + count, self.length)
        silence = max(0, min(end, self.silence) - begin)
        audible = self.waveform[:, max(0, begin - self.silence) : max(0, end - self.silence)]
        return torch.nn.functional.pad(audible, (silence, 0)).contiguous()

    def resample(self, rate: int) -> PreparedAudio:
        """Convert to another sample rate."""
        if rate == self.sample_rate:
            return self
        return PreparedAudio(
            waveform=resample(self.waveform, self.sample_rate, rate).clamp(-1, 1),
            sample_rate=rate,
            silence=round(Fraction(self.silence * rate, self.sample_rate)),
        )

    def mix_to_stereo(self) -> PreparedAudio:
        """At most two channels, their peaks limited."""
        waveform, _ = limit_true_peaks(mix_to_stereo(self.waveform), self.sample_rate)
        return replace(self, waveform=waveform.clamp(-1, 1))


@dataclass(frozen=True, kw_only=True)
class NewAudio:
    """The audio to add to a video.

    Attributes:
        waveform: (C, T) samples in [-1, 1].
        sample_rate: in Hz.
        start: when in the video it begins, in seconds.

    Raises:
        MediaError: see ``check_waveform``.
    """

    waveform: Tensor
    sample_rate: int
    start: Fraction

    def __post_init__(self) -> None:
        check_waveform(self.waveform, self.sample_rate)

    @classmethod
    def starting(cls, waveform: Tensor, sample_rate: int, start: Fraction) -> NewAudio:
        """Audio that begins at ``start`` seconds; what lies before the video is left out.

        Raises:
            MediaError: also if nothing of it is left.
        """
        check_waveform(waveform, sample_rate)
        waveform, start = leave_out_beginning(waveform, sample_rate, start)
        return cls(waveform=waveform, sample_rate=sample_rate, start=start)

    @property
    def end(self) -> Fraction:
        """When in the video it ends, in seconds."""
        return self.start + Fraction(self.waveform.shape[1], self.sample_rate)

    def check_start(self, duration: Fraction) -> None:
        """Raise MediaError if it starts outside a video of ``duration`` seconds."""
        if not 0 <= self.start < duration:
            raise MediaError(
                f"the audio is to start at {float(self.start):g} s of a video that lasts"
                f" {float(duration):g} s; expected a start within it",
                problem=Problem.AUDIO_PAST_END,
            )


def prepare_new_audio(
    new: NewAudio, duration: Fraction, options: AudioOptions, source: PreparedAudio | None
) -> tuple[PreparedAudio, tuple[str, ...]]:
    """Cut new audio to a video of ``duration`` seconds; apply gain, fades, mixing, loudness.

    The audio is delayed by silence, not by an empty edit or a late first timestamp, because
    players treat those differently.

    Args:
        source: the video's own audio to mix with, if any.

    Returns:
        The audio, and what the user should know, a sentence each.

    Raises:
        MediaError: if processing gives NaN or infinity.
    """
    rate = new.sample_rate
    silence = round(new.start * rate)
    room = math.ceil(duration * rate) - silence
    notes: tuple[str, ...] = ()
    excess = new.waveform.shape[1] - room
    if excess > 0:
        notes = (
            f"The audio was {excess / rate:.3g} s longer than the video and was cut at its end.",
        )
    waveform = gain_and_fades(
        new.waveform.detach()[:, :room].to("cpu", torch.float32),
        rate,
        gain_db=options.gain_db,
        fade_in=options.fade_in,
        fade_out=options.fade_out,
    )
    audio = PreparedAudio(waveform=waveform, sample_rate=rate, silence=silence)
    if source is not None:
        audio = _mix(audio, source, duck=options.source_audio == "duck")
    audio, level_notes = _adjust_level(audio, options)
    return audio, (*notes, *level_notes)


def prepare_source_audio(waveform: Tensor, sample_rate: int, duration: Fraction) -> PreparedAudio:
    """Prepare a video's own audio: (C, T) samples.

    Raises:
        MediaError: if a sample is NaN or infinite.
    """
    waveform = waveform.detach()[:, : round(duration * sample_rate)].to("cpu", torch.float32)
    if not waveform.isfinite().all():
        raise MediaError(
            "got NaN or infinite samples in the video's own audio, expected finite ones",
            problem=Problem.SOURCE_AUDIO,
        )
    return PreparedAudio(waveform=waveform, sample_rate=sample_rate)


def _mix(audio: PreparedAudio, source: PreparedAudio, *, duck: bool) -> PreparedAudio:
    if source.sample_rate > _MAX_MIX_RATE:
        source = replace(
            source,
            waveform=resample(source.waveform, source.sample_rate, _MAX_MIX_RATE),
            sample_rate=_MAX_MIX_RATE,
        )
    new, own = (mix_to_stereo(w) for w in (audio.chunk(0, audio.length), source.waveform))
    waveform, rate = mix(new, audio.sample_rate, own, source.sample_rate, duck=duck)
    return PreparedAudio(waveform=waveform, sample_rate=rate)


def _adjust_level(
    audio: PreparedAudio, options: AudioOptions
) -> tuple[PreparedAudio, tuple[str, ...]]:
    """Normalize the loudness if asked to; keep all samples within full scale."""
    waveform, notes = audio.waveform, tuple[str, ...]()
    if options.loudness is not None:
        waveform, notes = normalize_loudness(waveform, audio.sample_rate, options.loudness)
    elif options.mixes or options.gain_db > 0 or waveform.abs().amax() > 1:
        waveform, reduction = limit_true_peaks(waveform, audio.sample_rate)
        notes = limiter_notes(reduction)
    if not waveform.isfinite().all():
        raise MediaError(
            "gain, mixing or loudness normalization gave NaN or infinity, expected finite samples",
            problem=Problem.MIX_NOT_FINITE,
        )
    return replace(audio, waveform=waveform.clamp(-1, 1)), notes
