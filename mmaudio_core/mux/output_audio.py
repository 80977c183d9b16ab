"""All audio of the output file: the new track, and the video's own mixed in or beside it."""

# PyAV leaves some of its types open.
# pyright: reportAttributeAccessIssue=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction

from av.container import OutputContainer

from ..audio.channels import mix_to_stereo
from ..progress import Progress
from .audio_tracks import (
    AudioTrack,
    AudioTrackCopier,
    AudioTrackEncoder,
    AudioTracks,
    encoded_rate,
    keeps_channels,
)
from .formats import OutputPlan, can_copy_audio
from .options import AudioOptions
from .prepared_audio import NewAudio, PreparedAudio, prepare_new_audio, prepare_source_audio
from .source_audio import SourceAudio


@dataclass(frozen=True, kw_only=True)
class OutputAudio:
    """The audio tracks of the output file.

    Attributes:
        new: the first track, mix included.
        source: the video's own audio as a second track: to copy, or to encode.
        plan: says how tracks are encoded.
    """

    new: PreparedAudio
    source: SourceAudio | PreparedAudio | None
    plan: OutputPlan

    @contextmanager
    def add_to(self, output: OutputContainer) -> Generator[AudioTracks, None, None]:
        """Add the tracks to a container, after those that it has."""
        codec = self.plan.audio_codec
        tracks: list[AudioTrack] = [
            AudioTrackEncoder(output, self.new, codec, self.plan.options.bitrate)
        ]
        with ExitStack() as stack:
            if isinstance(self.source, PreparedAudio):
                tracks.append(AudioTrackEncoder(output, self.source, codec))
            elif self.source is not None:
                container, _ = stack.enter_context(self.source.video.open())
                tracks.append(AudioTrackCopier(output, container, self.source))
            if len(tracks) == 2:
                _label(*tracks)
            yield AudioTracks(tracks)


def prepare_output_audio(
    new: NewAudio,
    source: SourceAudio | PreparedAudio | None,
    *,
    duration: Fraction,
    options: AudioOptions,
    plan: OutputPlan,
    progress: Progress,
) -> tuple[OutputAudio, tuple[str, ...]]:
    """Prepare all audio of the output file.

    Args:
        new: the audio to add.
        source: the video's own audio, if it has any and the options use it.
        duration: seconds of video that are written.
        options: how both are processed.
        plan: says which codecs the file takes.

    Returns:
        The tracks, and what the user should know, a sentence each.

    Raises:
        MediaError: if either cannot be used.
    """
    new.check_start(duration)
    notes: tuple[str, ...] = ()
    if source is None and options.source_audio != "replace":
        verb = "mix in" if options.mixes else "keep"
        notes = (f"The video has no audio of its own to {verb}.",)
    mixed_in = _decode(source, progress) if source is not None and options.mixes else None
    new, fit_notes = _fit_codec(new, plan.audio_codec, mixes=mixed_in is not None)
    prepared, more_notes = prepare_new_audio(new, duration, options, mixed_in)
    kept = None
    if source is not None and options.source_audio == "keep_as_track":
        kept, note = _keep(source, plan, progress)
        notes += note
    return OutputAudio(new=prepared, source=kept, plan=plan), (*notes, *fit_notes, *more_notes)


def _fit_codec(new: NewAudio, codec: str, *, mixes: bool) -> tuple[NewAudio, tuple[str, ...]]:
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
    source: SourceAudio | PreparedAudio, plan: OutputPlan, progress: Progress
) -> tuple[SourceAudio | PreparedAudio, tuple[str, ...]]:
    """The video's own audio as a track, and a note if it has to be encoded."""
    if isinstance(source, PreparedAudio):
        reason = "The video's own audio did not come as a file"
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


def _label(new: AudioTrack, source: AudioTrack) -> None:
    """Name the tracks, and mark the new one as the default."""
    new.stream.metadata["title"], source.stream.metadata["title"] = "New sound", "Original sound"
    new.stream.disposition, source.stream.disposition = 1, 0
