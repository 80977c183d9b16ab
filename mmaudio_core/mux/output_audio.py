"""All audio of the output file: the new track, and the video's own mixed in or beside it."""

# PyAV leaves some of its types open.
# pyright: reportAttributeAccessIssue=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction

from av.container import OutputContainer
from av.stream import Disposition

from ..audio.channels import mix_to_stereo
from ..errors import MediaError
from ..progress import Progress
from .audio_tracks import (
    AudioTrack,
    AudioTrackCopier,
    AudioTrackEncoder,
    encoded_rate,
    keeps_channels,
)
from .formats import OutputPlan, can_copy_audio
from .kept.tags import StreamNotes, describe
from .options import AudioOptions
from .prepared_audio import NewAudio, PreparedAudio, prepare_new_audio, prepare_source_audio
from .source_audio import SourceAudio

_NEW = StreamNotes(tags={"title": "New sound"}, disposition=Disposition.default.value)
_ORIGINAL = "Original sound"


@dataclass(frozen=True, kw_only=True)
class KeptAudio:
    """A track of the video's own audio.

    Attributes:
        audio: to copy, or to encode.
        notes: what is said of the track.
    """

    audio: SourceAudio | PreparedAudio
    notes: StreamNotes


@dataclass(frozen=True, kw_only=True)
class OutputAudio:
    """The audio tracks of the output file.

    Attributes:
        new: the first track, mix included.
        kept: the video's own audio as further tracks.
        plan: says how tracks are encoded.
    """

    new: PreparedAudio
    kept: tuple[KeptAudio, ...]
    plan: OutputPlan

    @contextmanager
    def add_to(self, output: OutputContainer) -> Generator[list[AudioTrack], None, None]:
        """Add the tracks to a container, after those that it has."""
        codec = self.plan.audio_codec
        new = AudioTrackEncoder(output, self.new, codec, self.plan.options.bitrate)
        tracks: list[AudioTrack] = [new]
        with ExitStack() as stack:
            for kept in self.kept:
                if isinstance(kept.audio, PreparedAudio):
                    track = AudioTrackEncoder(output, kept.audio, codec)
                else:
                    container, _ = stack.enter_context(kept.audio.video.open())
                    track = AudioTrackCopier(output, container, kept.audio)
                describe(track.stream, kept.notes)
                tracks.append(track)
            if self.kept:
                describe(new.stream, _NEW)
            yield tracks


def prepare_output_audio(
    new: NewAudio,
    sources: Sequence[SourceAudio | PreparedAudio],
    *,
    duration: Fraction,
    options: AudioOptions,
    plan: OutputPlan,
    refused: frozenset[int] = frozenset(),
    progress: Progress,
) -> tuple[OutputAudio, tuple[str, ...]]:
    """Prepare all audio of the output file.

    Args:
        new: the audio to add.
        sources: the video's own audio, the main track first, if it has any and the options use it.
        duration: seconds of video that are written.
        options: how both are processed.
        plan: says which codecs the file takes.
        refused: numbers of the sources that are not copied, for the container refused them.

    Returns:
        The tracks, and what the user should know, a sentence each.

    Raises:
        MediaError: if either cannot be used.
    """
    new.check_start(duration)
    notes: tuple[str, ...] = ()
    if not sources and options.source_audio != "replace":
        verb = "mix in" if options.mixes else "keep"
        notes = (f"The video has no audio of its own to {verb}.",)
    mixed_in = _decode(sources[0], progress) if sources and options.mixes else None
    new, fit_notes = fit_codec(new, plan.audio_codec, mixes=mixed_in is not None)
    prepared, more_notes = prepare_new_audio(new, duration, options, mixed_in)
    kept: list[KeptAudio] = []
    if options.source_audio == "keep_as_track":
        for source in sources:
            try:
                track, note = _keep(source, plan, refused, progress)
            except MediaError:
                if source is sources[0]:
                    raise
                notes += ("One of the video's further sound tracks cannot be decoded: left out.",)
                continue
            kept.append(KeptAudio(audio=track, notes=_kept_notes(source)))
            notes += note
        notes = tuple(dict.fromkeys(notes))
    return OutputAudio(new=prepared, kept=tuple(kept), plan=plan), (*notes, *fit_notes, *more_notes)


def fit_codec(
    new: NewAudio, codec: str, *, mixes: bool = False
) -> tuple[NewAudio, tuple[str, ...]]:
    """New audio of as many channels as can be written, and notes on what is lost."""
    notes: tuple[str, ...] = ()
    channels, rate = new.waveform.shape[0], new.sample_rate
    if channels > 2 and (mixes or not keeps_channels(codec, channels)):
        new = replace(new, waveform=mix_to_stereo(new.waveform))
        mixed = "stereo" if new.waveform.shape[0] == 2 else "mono"
        reason = "A mix with the video's own audio" if mixes else codec
        notes = (f"{reason} does not take {channels} channels: they were mixed to {mixed}.",)
    if encoded_rate(codec, rate) < rate:
        notes += (f"{codec} takes up to {encoded_rate(codec, rate)} Hz, less than {rate} Hz.",)
    return new, notes


def _decode(source: SourceAudio | PreparedAudio, progress: Progress) -> PreparedAudio:
    if isinstance(source, PreparedAudio):
        return source
    waveform, rate = source.decode(progress)
    return prepare_source_audio(waveform, rate, source.duration)


def _keep(
    source: SourceAudio | PreparedAudio,
    plan: OutputPlan,
    refused: frozenset[int],
    progress: Progress,
) -> tuple[SourceAudio | PreparedAudio, tuple[str, ...]]:
    """The video's own audio as a track, and a note if it has to be encoded."""
    if isinstance(source, PreparedAudio):
        reason = "The video's own audio did not come as a file"
    elif source.index in refused:
        reason = f"The video's own {source.codec} has damage that {plan.container} does not take"
    elif can_copy_audio(plan.container, source.codec):
        return source, ()
    else:
        reason = f"{plan.container} does not take {source.codec}"
    decoded = _decode(source, progress)
    note = f"{reason}: it was encoded as {plan.audio_codec}."
    channels = decoded.waveform.shape[0]
    if not keeps_channels(plan.audio_codec, channels):
        note = f"{note.rstrip('.')}, which does not take its {channels} channels, in stereo."
        return decoded.mix_to_stereo(), (note,)
    return replace(decoded, waveform=decoded.waveform.clamp(-1, 1)), (note,)


def _kept_notes(source: SourceAudio | PreparedAudio) -> StreamNotes:
    """What is said of a kept track: it is not the default, and named if it has no name."""
    known = StreamNotes() if isinstance(source, PreparedAudio) else source.notes
    return StreamNotes(
        tags={"title": _ORIGINAL, **known.tags},
        disposition=known.disposition & ~Disposition.default.value,
    )
