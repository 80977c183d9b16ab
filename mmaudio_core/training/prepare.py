"""From a recording to its pieces: cut, measured and encoded, or taken from the cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio.channels import mix_to_mono
from ..audio.loudness import normalize_loudness
from ..audio.mel import log_mel
from ..audio.resample import resample
from ..audio.waveform import Audio, check_finite_samples
from ..codec.encode import encode_posterior
from ..config import FORMAT_16K
from ..errors import MMAudioError
from ..features.clip_frames import read_clip_frames
from ..features.shots import detect_shot_changes
from ..features.text import encode_prompts
from ..features.types import Features
from ..features.visual import MAX_SECONDS, TimeRange, VideoClip
from ..media.input_file import InputFile
from ..progress import Progress, no_progress
from ..providers import ModelProvider
from ..scoring.levels import silence_share
from ..scoring.voice import find_voice
from .cutting import piece_starts
from .folder import ListedFile
from .picture import see_piece
from .pieces import EncodedPiece, EncodedRecording, Piece, PieceOptions, PreparedRecording
from .recording import Recording, read_recording, sound_digest
from .recording_cache import keep_recording, recall_recording, recording_key

_MAX_VOICE, _MAX_SILENCE = 0.05, 0.95  # shares of a piece
_SPECTROGRAM = (96, 256)  # rows and columns


@dataclass(frozen=True, kw_only=True)
class Source:
    """A recording that is read only if the cache does not have it.

    Attributes:
        name, caption: see ``Recording``.
        content: identifies sound and picture before they are decoded; None if that is unknown.
        read: decodes it.
    """

    name: str
    caption: str
    content: Callable[[], str | None]
    read: Callable[[], Recording]


def file_source(file: ListedFile) -> Source:
    """A file of a folder."""
    content = InputFile(file.path).digest
    read = partial(read_recording, file)
    return Source(name=file.name, caption=file.caption, content=content, read=read)


def prepare_source(
    networks: ModelProvider,
    source: Source,
    options: PieceOptions,
    progress: Progress = no_progress,
) -> PreparedRecording:
    """Cut a recording into pieces and encode them, unless that was done before.

    Raises:
        MMAudioError: it cannot be read, or is too short.
        OSError: the file cannot be read.
    """
    content = source.content()
    cache = networks.feature_cache
    key = None if content is None else recording_key(networks, content, options)
    encoded = None if key is None else recall_recording(cache, key)
    if encoded is None:
        encoded = encode_recording(networks, source.read(), options, progress)
        if key is not None:
            keep_recording(cache, key, encoded)
    return _with_caption(networks, encoded, source.name, source.caption, progress)


def prepare_recording(
    networks: ModelProvider,
    recording: Recording,
    options: PieceOptions,
    progress: Progress = no_progress,
) -> PreparedRecording:
    """Cut a recording that is decoded already into pieces, and encode them.

    Raises:
        MMAudioError: its picture cannot be read, or it is too short.
    """
    encoded = encode_recording(networks, recording, options, progress)
    return _with_caption(networks, encoded, recording.name, recording.caption, progress)


def _with_caption(
    networks: ModelProvider,
    encoded: EncodedRecording,
    name: str,
    caption: str,
    progress: Progress,
) -> PreparedRecording:
    text = encode_prompts(networks, caption, "", progress)
    return PreparedRecording(
        name=name,
        caption=caption,
        digest=encoded.digest,
        pieces=tuple(
            Piece(
                recording=name,
                start=piece.start,
                caption=caption,
                latents=piece.latents,
                features=Features.join(piece.visual, text),
                spectrogram=piece.spectrogram,
                frames=piece.frames,
            )
            for piece in encoded.pieces
        ),
        left_out=tuple(f"{name} {why}" for why in encoded.left_out),
        notes=tuple(f"{name}: {note}" for note in encoded.notes),
    )


def encode_recording(
    networks: ModelProvider,
    recording: Recording,
    options: PieceOptions,
    progress: Progress = no_progress,
) -> EncodedRecording:
    """Cut a recording into pieces and encode their sound and picture.

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
    pieces: list[EncodedPiece] = []
    left_out: list[str] = []
    for start in starts:
        samples = _part(sound, rate, start, options.length)
        reason = _why_not(samples, rate, skip_voices=options.skip_voices)
        if reason:
            left_out.append(f"at {float(start):g} s: {reason}")
            continue
        audio = Audio(waveforms=samples[None], sample_rate=rate)
        seen = see_piece(networks, recording.picture, start, options.length, progress)
        pieces.append(
            EncodedPiece(
                start=start,
                latents=encode_posterior(networks, audio, options.length, progress),
                visual=seen.visual,
                digests=seen.digests,
                spectrogram=_spectrogram(samples, rate),
                frames=seen.frames,
            )
        )
    return EncodedRecording(
        digest=sound_digest(recording.sound),
        pieces=tuple(pieces),
        left_out=tuple(left_out),
        notes=notes,
    )


def _starts(
    networks: ModelProvider, recording: Recording, options: PieceOptions, progress: Progress
) -> tuple[Fraction, ...]:
    duration = recording.duration
    if duration < options.length:
        alone = recording.picture is None
        least = float(options.length) * (1 - _MAX_SILENCE if alone else 1)
        if alone and duration >= least:
            return (Fraction(0),)
        raise MMAudioError(
            f"is {float(duration):.3g} s long, expected at least {least:.3g} s for pieces of "
            f"{float(options.length):g} s"
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
