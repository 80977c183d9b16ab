"""Pieces of recordings as the flow network is trained on them: latents, features, a caption."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio.channels import mix_to_mono
from ..audio.loudness import normalize_loudness
from ..audio.mel import log_mel
from ..audio.resample import resample
from ..audio.waveform import Audio, check_finite_samples
from ..codec.encode import Posterior, encode_posterior
from ..config import FORMAT_16K
from ..errors import MMAudioError
from ..features.clip_frames import read_clip_frames
from ..features.shots import detect_shot_changes
from ..features.text import encode_prompts
from ..features.types import Features, VisualFeatures
from ..features.visual import MAX_SECONDS, TimeRange, VideoClip, extract_visual_features
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from ..scoring.levels import silence_share
from ..scoring.voice import find_voice
from .cutting import piece_starts
from .recording import Recording

_MAX_VOICE, _MAX_SILENCE = 0.05, 0.95  # shares of a piece
_SPECTROGRAM = (96, 256)  # rows and columns


@dataclass(frozen=True, kw_only=True)
class PieceOptions:
    """How recordings are cut.

    Attributes:
        length: seconds of a piece.
        overlap: seconds that consecutive pieces share.
        at_cuts: let no piece cross a scene change, where scenes are long enough.
        loudness: in LUFS, to which each recording is brought; None leaves it.
        skip_voices: leave out pieces in which somebody speaks or sings.
    """

    length: Fraction = Fraction(8)
    overlap: Fraction = Fraction(0)
    at_cuts: bool = True
    loudness: float | None = None
    skip_voices: bool = False


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a recording.

    Attributes:
        recording: name of the recording.
        start: seconds into it.
        caption: what it sounds like.
        latents: of its sound, one take.
        features: of its picture, if it has one, and of its caption.
        spectrogram: (96, 256) uint8, to look at: low frequencies at the bottom.
    """

    recording: str
    start: Fraction
    caption: str
    latents: Posterior
    features: Features
    spectrogram: Tensor


@dataclass(frozen=True, kw_only=True)
class PreparedRecording:
    """The pieces of a recording, and why others were left out, a sentence each."""

    name: str
    caption: str
    digest: str
    pieces: tuple[Piece, ...]
    left_out: tuple[str, ...]


def prepare_recording(
    networks: ModelProvider,
    recording: Recording,
    options: PieceOptions,
    progress: Progress = no_progress,
) -> PreparedRecording:
    """Cut a recording into pieces and encode them.

    A sound alone that is shorter than a piece is followed by silence.

    Raises:
        MMAudioError: it cannot be read, or is too short.
    """
    check_finite_samples(recording.sound.waveforms)
    rate = recording.sound.sample_rate
    sound = mix_to_mono(recording.sound.waveforms[0])[None]
    notes: tuple[str, ...] = ()
    if options.loudness is not None:
        sound, notes = normalize_loudness(sound, rate, options.loudness)
    starts = _starts(networks, recording, options, progress)
    pieces: list[Piece] = []
    left_out = [f"{recording.name}: {note}" for note in notes]
    for start in starts:
        samples = _part(sound, rate, start, options.length)
        reason = _why_not(samples, rate, skip_voices=options.skip_voices)
        if reason:
            left_out.append(f"{recording.name} at {float(start):g} s: {reason}")
            continue
        audio = Audio(waveforms=samples[None], sample_rate=rate)
        visual = _see(networks, recording.picture, start, options.length, progress)
        text = encode_prompts(networks, recording.caption, "", progress)
        pieces.append(
            Piece(
                recording=recording.name,
                start=start,
                caption=recording.caption,
                latents=encode_posterior(networks, audio, options.length, progress),
                features=Features.join(visual, text),
                spectrogram=_spectrogram(samples, rate),
            )
        )
    return PreparedRecording(
        name=recording.name,
        caption=recording.caption,
        digest=recording.digest(),
        pieces=tuple(pieces),
        left_out=tuple(left_out),
    )


def _starts(
    networks: ModelProvider, recording: Recording, options: PieceOptions, progress: Progress
) -> tuple[Fraction, ...]:
    duration = recording.duration
    if duration < options.length:
        if recording.picture is None:
            return (Fraction(0),)
        raise MMAudioError(
            f"is {float(duration):.2f} s long, expected at least {float(options.length):g} s, the "
            "length of a piece"
        )
    cuts: tuple[float, ...] = ()
    if options.at_cuts and recording.picture is not None and duration > options.length:
        cuts = _scene_changes(networks, recording.picture, duration, progress)
    return piece_starts(duration, options.length, options.overlap, cuts)


def _scene_changes(
    networks: ModelProvider, picture: VideoClip, duration: Fraction, progress: Progress
) -> tuple[float, ...]:
    """Times of scene changes, found in parts that fit into memory."""
    cuts: list[float] = []
    for number in range(math.ceil(duration / MAX_SECONDS)):
        begin = number * MAX_SECONDS
        length = min(MAX_SECONDS, duration - begin)
        if length < 1:
            break
        frames = read_clip_frames(
            networks, picture, TimeRange(duration=length, start=begin), progress
        )
        cuts += [float(begin) + cut for cut in detect_shot_changes(frames.features[None])]
    return tuple(cuts)


def _see(
    networks: ModelProvider,
    picture: VideoClip | None,
    start: Fraction,
    length: Fraction,
    progress: Progress,
) -> VisualFeatures:
    time_range = TimeRange(duration=length, start=Fraction(0) if picture is None else start)
    seen = extract_visual_features(networks, picture, time_range, progress).features
    if seen.duration != length:
        raise MMAudioError(f"the picture ends {float(start + seen.duration):.2f} s after its start")
    return seen


def _part(sound: Tensor, rate: int, start: Fraction, length: Fraction) -> Tensor:
    """(1, n) samples of ``length`` seconds, followed by silence where the sound ends."""
    begin, count = round(start * rate), round(length * rate)
    samples = sound[:, begin : begin + count]
    return F.pad(samples, (0, count - samples.shape[1]))


def _why_not(samples: Tensor, rate: int, *, skip_voices: bool) -> str:
    if silence_share(samples, rate) > _MAX_SILENCE:
        return "silent"
    if skip_voices:
        voice = find_voice(samples, rate)
        if voice.share is not None and voice.share > _MAX_VOICE:
            return f"a voice is heard in {voice.share:.0%} of it"
    return ""


def _spectrogram(samples: Tensor, rate: int) -> Tensor:
    """See ``Piece``."""
    fmt = FORMAT_16K
    mel = log_mel(resample(samples, rate, fmt.sample_rate), fmt)[:, None]
    small = F.interpolate(mel, _SPECTROGRAM, mode="area")[0, 0].flip(0)
    shown = (small - small.amin()) / (small.amax() - small.amin()).clamp(min=1e-6)
    return (255 * shown).to(torch.uint8)
