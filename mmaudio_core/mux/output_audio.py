"""All that is heard of a file: the new sound, and the original mixed in or beside it."""

# PyAV leaves some of its types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

from av.audio.stream import AudioStream
from av.container import OutputContainer
from torch import Tensor

from ..audio.waveform import check_waveform
from ..media import VideoFile
from ..progress import Progress
from .audio_tracks import AudioTrackEncoder
from .formats import OutputPlan, copies_sound
from .options import AudioOptions, FileOptions
from .prepared_audio import PreparedAudio, audio_end, fit_audio
from .source_audio import AudioTrackCopier, SourceAudio


@dataclass(frozen=True, kw_only=True)
class OutputAudio:
    """All that is heard of a file: the new sound, and the original where it is kept beside it."""

    sound: PreparedAudio
    original: SourceAudio | PreparedAudio | None
    codec: str
    bitrate: int

    @contextmanager
    def into(self, container: OutputContainer) -> Generator[AudioTracks, None, None]:
        """Its tracks in a container, after the picture's."""
        new = AudioTrackEncoder(container, self.sound, self.codec, self.bitrate)
        if self.original is None:
            yield AudioTracks([new])
        elif isinstance(self.original, PreparedAudio):
            old = AudioTrackEncoder(container, self.original, self.codec)
            _name(new.stream, old.stream)
            yield AudioTracks([new, old])
        else:
            kept = AudioTrackCopier(container, self.original)
            _name(new.stream, kept.stream)
            try:
                yield AudioTracks([new, kept])
            finally:
                kept.close()


class AudioTracks:
    """Sound tracks that are written together."""

    def __init__(self, tracks: list[AudioTrackEncoder | AudioTrackCopier]) -> None:
        self._tracks = tracks

    def write_until(self, time: Fraction) -> None:
        """Write them up to ``time`` in seconds."""
        for track in self._tracks:
            track.write_until(time)

    def finish(self) -> None:
        """Write what is left."""
        for track in self._tracks:
            track.finish()


def _name(new: AudioStream, old: AudioStream) -> None:
    """Say which is which, and which is played."""
    new.metadata["title"], old.metadata["title"] = "New sound", "Original sound"
    new.disposition, old.disposition = 1, 0  # pyright: ignore[reportAttributeAccessIssue]


def prepare_output_audio(
    waveform: Tensor,
    sample_rate: int,
    *,
    start: Fraction,
    zero: Fraction,
    length: Fraction,
    source: VideoFile | tuple[Tensor, int] | None,
    options: tuple[AudioOptions, FileOptions],
    plan: OutputPlan,
    progress: Progress,
) -> tuple[OutputAudio, Fraction, tuple[str, ...]]:
    """Prepare everything that is heard.

    Args:
        waveform, sample_rate, start: the new sound, and where in the picture it begins.
        zero, length: where in the source's clock the picture begins, and how long it is, in s.
        source: what the original sound is in; None where there is none.
        options: what to do with both.
        plan: what the file takes.

    Returns:
        The sound, seconds of the picture to write, and what the user should know.
    """
    treat, file = options
    check_waveform(waveform, sample_rate)
    if file.trim_to_audio:
        length = min(length, audio_end(waveform, sample_rate, start))
    original, notes = None, tuple[str, ...]()
    if treat.original != "replace" and source is not None:
        original = SourceAudio(source=source, zero=zero, length=length)
        if original.codec() is None:
            original = None
    if treat.original != "replace" and original is None:
        notes = (f"There is no original sound to {_TO_DO[treat.original]}.",)
    sound, more = fit_audio(
        waveform,
        sample_rate,
        start=start,
        length=length,
        options=treat,
        original=original,
        progress=progress,
    )
    kept: SourceAudio | PreparedAudio | None = None
    if treat.keeps and original is not None:
        kept, why = _kept(original, plan, progress)
        notes += why
    result = OutputAudio(sound=sound, original=kept, codec=plan.audio_codec, bitrate=file.bitrate)
    return result, length, (*notes, *more)


_TO_DO = {"mix": "mix in", "duck": "mix in", "keep_as_track": "keep"}


def _kept(
    original: SourceAudio, plan: OutputPlan, progress: Progress
) -> tuple[SourceAudio | PreparedAudio, tuple[str, ...]]:
    """The original as a track of its own, and why it is not copied where it cannot be."""
    codec = original.codec() or ""
    if copies_sound(plan.container, codec):
        return original, ()
    waveform, rate = original.samples(progress)
    why = f"{plan.container} does not take {codec}"
    if codec == "samples":
        why = "The original sound came without its file"
    note = f"{why}: the original sound was encoded as {plan.audio_codec}."
    return PreparedAudio(waveform=waveform.clamp(-1, 1), sample_rate=rate), (note,)
