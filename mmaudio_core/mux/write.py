"""Writing a video with new audio, from the options to the finished file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from ..errors import MediaError
from ..media import FrameSource, ImageSequence, PathOrBytes, VideoFile, VideoInfo, open_source
from ..progress import Progress, no_progress
from .atomic_output import atomic_output
from .display import lost_properties
from .encode import VideoPart, encode_video
from .formats import OutputPlan, plan_output
from .kept_content import KeptContent, read_content
from .kept_plan import plan_content
from .options import CONTAINERS, AudioOptions, FileOptions
from .output_audio import prepare_output_audio
from .output_name import NumberedName
from .output_tracks import OutputTracks
from .passthrough import CopyRefused, copy_refusal, copy_video
from .prepared_audio import NewAudio, PreparedAudio, prepare_source_audio
from .source_audio import SourceAudio, find_source_audio
from .tags import without_workflow
from .timestamps import CopiedPart, part_from_key_frame
from .track_labels import lost_labels, set_languages

_COPIED_PART = "The part begins at a key frame: the video was copied, not encoded again."


@dataclass(frozen=True, kw_only=True)
class MuxResult:
    """A file that was written.

    Attributes:
        path: where it is.
        video_codec: for instance ``h264``.
        container: mp4, mov, mkv or webm, also the file's suffix.
        notes: what the user should know, a sentence each.
    """

    path: Path
    video_codec: str
    container: str
    notes: tuple[str, ...]


def mux_audio(
    video: PathOrBytes | FrameSource,
    waveform: Tensor,
    sample_rate: int,
    target: Path | NumberedName,
    *,
    start: Fraction = Fraction(0),
    duration: Fraction | None = None,
    audio_start: Fraction = Fraction(0),
    audio_options: AudioOptions | None = None,
    file_options: FileOptions | None = None,
    source_audio: tuple[Tensor, int] | None = None,
    progress: Progress = no_progress,
) -> MuxResult:
    """Write a video, or a part of one, with new audio.

    The video stream of a whole file is copied bit for bit, all packets of it, with their times
    relative to the first frame shown. (Transport and raw streams mark where a unit begins; mp4
    requires its length there instead, so those packets differ in just that.) So is a part that
    begins at a key frame, if the container can hide frames that it must hold. Another part, images,
    and what the container does not take are encoded as H.264, in webm as VP9. What
    else the file holds is kept as far as the container takes it: tags, chapters, subtitles, data,
    timecode, cover pictures; its audio as the options say.

    Args:
        video: a file or images.
        waveform: (C, T) samples in [-1, 1]; the peaks of louder ones are lowered.
        sample_rate: of the waveform, in Hz.
        target: the file to write, without its suffix, which replaces an existing one; or a
            numbered name, which does not.
        start, duration: the part of the video to write, in seconds; None is to its end.
        audio_start: when in that part the new audio begins, in seconds; silence before it.
        audio_options: how the audio is processed.
        file_options: what kind of file is written.
        source_audio: (C, T) samples and their rate in Hz: the video's own audio if ``video`` is
            not a file that holds it.
        progress: called as ("mux", packets done, packets), or, if the video is encoded, as
            ("encode", done, total) in 25ths of a second.

    Returns:
        The file, which exists complete or not at all.

    Raises:
        MediaError: if the video or the audio cannot be used, or the file cannot be written.
    """
    audio_options, file_options = audio_options or AudioOptions(), file_options or FileOptions()
    new = NewAudio(waveform=waveform, sample_rate=sample_rate, start=audio_start)
    source = open_source(video)
    whole = start == 0 and duration is None
    info = source.packets.info if whole and isinstance(source, VideoFile) else source.info
    part = _choose_part(source, info.duration, start, duration)
    if file_options.trim_to_audio:
        part = replace(part, duration=min(part.duration, new.end))

    content = KeptContent()
    if isinstance(source, VideoFile):
        content = read_content(
            source, part.start, part.duration, metadata=file_options.keep_metadata
        )
        if not file_options.keep_workflow:
            content = replace(content, tags=without_workflow(content.tags))

    def write(plan: OutputPlan) -> MuxResult:
        audio, notes = prepare_output_audio(
            new,
            _find_source_audio(
                part, audio_options, source_audio, metadata=file_options.keep_metadata
            ),
            duration=part.duration,
            options=audio_options,
            plan=plan,
            progress=progress,
        )
        kept = plan_content(content, plan.container, file_options.metadata)
        tracks = OutputTracks(audio=audio, kept=kept)
        with atomic_output(target, plan.container, kept.file_tags) as output:
            kept.finish(output)
            if plan.container == "mov":
                output.patches.append(lambda file: set_languages(file, tracks.notes))
            if plan.copies_video:
                assert isinstance(source, VideoFile) and copied is not None
                copy_video(source, copied, part.duration, tracks, output, progress)
            else:
                notes += encode_video(part, tracks, plan, output, progress)
        lost = [*kept.lost, *kept.lost_in(output.path), *lost_labels(output.path, tracks.notes)]
        if plan.copies_video:
            assert isinstance(source, VideoFile)
            lost += lost_properties(source, output.path)
            if not whole:
                notes = (*notes, _COPIED_PART)
        if lost:
            told = ", ".join(dict.fromkeys(lost))
            note = f"{plan.container} cannot hold the video's {told}; another container may."
            notes = (*notes, note)
        return MuxResult(
            path=output.path,
            video_codec=info.codec if plan.copies_video else plan.encoded_codec,
            container=plan.container,
            notes=(*plan.notes, *notes, *kept.notes),
        )

    copied: CopiedPart | None = None
    plan = plan_output(file_options, info.codec, bit_depth=info.bit_depth)
    if isinstance(source, VideoFile) and plan.copies_video:
        copied = part_from_key_frame(source, start)
    if copied is not None:
        plan = _plan_copy(part, copied, info, file_options)
    elif not whole or isinstance(source, ImageSequence):
        plan = plan_output(file_options, None, bit_depth=info.bit_depth)
    try:
        return write(plan)
    except CopyRefused as refusal:
        reason = f"{plan.container} did not take the {info.codec} video's packets ({refusal})"
        refused: dict[str, str] = dict.fromkeys(CONTAINERS, reason)
        return write(plan_output(file_options, info.codec, refused, bit_depth=info.bit_depth))


def _plan_copy(
    part: VideoPart, copied: CopiedPart, info: VideoInfo, options: FileOptions
) -> OutputPlan:
    """Plan a copy into a container whose muxer takes the video; an encoding if there is none."""
    refused: dict[str, str] = {}
    plan = plan_output(options, info.codec, bit_depth=info.bit_depth)
    while plan.copies_video:
        assert isinstance(part.source, VideoFile)
        reason = copy_refusal(part.source, copied, part.duration, plan.container)
        if reason is None:
            break
        refused[plan.container] = reason
        plan = plan_output(options, info.codec, refused, bit_depth=info.bit_depth)
    return plan


def _choose_part(
    source: FrameSource, available: Fraction, start: Fraction, duration: Fraction | None
) -> VideoPart:
    if not 0 <= start < available:
        raise MediaError(
            f"got a part of the video that starts at {float(start):g} s, expected a start within"
            f" the video, which lasts {float(available):g} s"
        )
    left = available - start
    length = left if duration is None else min(left, duration)
    return VideoPart(source=source, start=start, duration=length)


def _find_source_audio(
    part: VideoPart,
    options: AudioOptions,
    source_audio: tuple[Tensor, int] | None,
    *,
    metadata: bool,
) -> Sequence[SourceAudio | PreparedAudio]:
    """The video's own audio if it has any and the options use it, the main track first."""
    if options.source_audio == "replace":
        return ()
    if isinstance(part.source, VideoFile):
        start = part.source.packets.start + part.start
        return find_source_audio(part.source, start, part.duration, metadata=metadata)
    if source_audio is not None:
        return (prepare_source_audio(*source_audio, part.duration),)
    return ()
