"""Writing audio alone into a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from ..progress import Progress, no_progress
from .atomic_output import atomic_output
from .audio_tracks import AudioTrackEncoder, encoded_rate
from .options import SOUND_FORMATS, AudioOptions, check_choice
from .output_audio import fit_codec
from .output_name import NumberedName
from .prepared_audio import NewAudio, prepare_new_audio

_CODECS = {"flac": "flac", "m4a": "aac"}
_SAMPLE_FORMATS = {"flac": "s32"}
"""libav's FLAC encoder writes 24 bits of it."""
_MAX_TAG_BYTES = {"flac": 2**24 - 2**16}
"""A block of FLAC's metadata has 24 bits for its length; some are left for names and the like."""
_REPORTED = Fraction(1)
"""Seconds of audio between calls of ``Progress``."""


@dataclass(frozen=True, kw_only=True)
class SoundResult:
    """A file that was written.

    Attributes:
        path: where it is.
        notes: what the user should know, a sentence each.
    """

    path: Path
    notes: tuple[str, ...]


def write_sound(
    waveform: Tensor,
    sample_rate: int,
    target: Path | NumberedName,
    file_format: str,
    *,
    metadata: Mapping[str, str] | None = None,
    progress: Progress = no_progress,
) -> SoundResult:
    """Write audio into a file of its own.

    An m4a lasts as long as the audio to the sample: its edit list hides the encoder's delay and the
    padding of the last frame. (libav's own decoders ignore its end and give that padding too.)

    Args:
        waveform: (C, T) samples in [-1, 1]; the peaks of louder ones are lowered.
        sample_rate: of the waveform, in Hz.
        target: the file to write, without its suffix, which replaces an existing one; or a
            numbered name, which does not.
        file_format: flac (24 bits) or m4a (AAC).
        metadata: tags of the file.
        progress: called as ("encode", done, total) in seconds.

    Returns:
        The file, which exists complete or not at all.

    Raises:
        MediaError: if the audio cannot be used, or the file cannot be written.
    """
    check_choice("format of the file", file_format, SOUND_FORMATS)
    codec = _CODECS[file_format]
    new = NewAudio(waveform=waveform, sample_rate=sample_rate, start=Fraction(0))
    new, notes = fit_codec(new, codec)
    audio, level_notes = prepare_new_audio(new, new.end, AudioOptions(), None)
    tags, tag_notes = _fit_tags(metadata or {}, file_format)
    rate = encoded_rate(codec, audio.sample_rate)
    # in milliseconds, which is libav's own choice, the edit list would not end at a sample
    options = {"movie_timescale": str(rate)} if file_format == "m4a" else {}
    with atomic_output(target, file_format, tags, options) as output:
        track = AudioTrackEncoder(
            output.container, audio, codec, sample_format=_SAMPLE_FORMATS.get(file_format)
        )
        seconds = Fraction(audio.length, audio.sample_rate)
        total = int(seconds / _REPORTED)
        for done in range(total):
            progress("encode", done, total)
            track.write_until(done * _REPORTED)
        track.finish()
        progress("encode", total, total)
    return SoundResult(path=output.path, notes=(*notes, *level_notes, *tag_notes))


def _fit_tags(
    tags: Mapping[str, str], file_format: str
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """The tags that the file can hold: all of them or none, and then a note."""
    size = sum(len(text.encode(errors="replace")) for text in tags.values())
    room = _MAX_TAG_BYTES.get(file_format)
    if room is None or size <= room:
        return tags, ()
    return {}, (f"The file's tags, {size / 1e6:.1f} MB, do not fit into {file_format}: left out.",)
