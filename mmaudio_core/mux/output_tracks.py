"""All tracks of the output file but the picture, written in step with it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

from av.container import OutputContainer

from .audio_tracks import AudioTrack
from .kept.plan import KeptPlan
from .kept.tags import StreamNotes
from .kept.tracks import KeptTracks, add_kept
from .output_audio import OutputAudio


@dataclass(frozen=True, kw_only=True)
class OutputTracks:
    """What is written beside the picture.

    Attributes:
        audio: all sound.
        kept: what else is kept of the source.
    """

    audio: OutputAudio
    kept: KeptPlan

    @property
    def notes(self) -> tuple[StreamNotes, ...]:
        """What is said of each track of the file: the picture, then these."""
        new = StreamNotes()
        kept = (track.notes for track in self.audio.kept)
        return self.kept.content.picture, new, *kept, *(t.notes for t in self.kept.content.tracks)

    @contextmanager
    def add_to(self, output: OutputContainer) -> Generator[TrackWriter, None, None]:
        """Add the tracks to a container, after the picture."""
        with self.audio.add_to(output) as audio:
            matroska = output.format.name in ("matroska", "webm")
            shift = max(track.early for track in audio) if matroska else Fraction(0)
            with add_kept(self.kept, output, shift) as kept:
                yield TrackWriter([*audio, kept] if kept else [*audio])


class TrackWriter:
    """Writes tracks together."""

    def __init__(self, tracks: Sequence[AudioTrack | KeptTracks]) -> None:
        self._tracks = tracks

    def write_until(self, time: Fraction) -> None:
        """Write all tracks up to ``time`` in seconds."""
        for track in self._tracks:
            track.write_until(time)

    def finish(self) -> tuple[str, ...]:
        """Write what is left of all tracks; returns what is not as before, a sentence each."""
        notes: tuple[str, ...] = ()
        for track in self._tracks:
            notes += track.finish()
        return notes
