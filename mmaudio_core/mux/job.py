"""One file to write: what goes into it, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ..media import ImageSequence, VideoFile, VideoInfo
from ..progress import Progress
from .atomic_output import atomic_output
from .display import lost_properties
from .encode import VideoPart, encode_video
from .formats import OutputPlan, plan_output
from .kept.content import KeptContent, read_content
from .kept.labels import lost_labels, set_languages
from .kept.plan import plan_content
from .kept.tags import without_workflow
from .options import CONTAINERS, AudioOptions, FileOptions
from .output_audio import prepare_output_audio
from .output_name import NumberedName
from .output_tracks import OutputTracks
from .passthrough import copy_refusal, copy_video
from .prepared_audio import NewAudio, PreparedAudio, prepare_source_audio
from .source_audio import SourceAudio, find_source_audio
from .timestamps import CopiedPart, part_from_key_frame

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


@dataclass(frozen=True, kw_only=True)
class MuxJob:
    """What is written, and how it is asked for.

    Attributes:
        part: of the video.
        whole: whether that is all of it.
        info: of the whole video.
        new: the audio to add.
        source_audio, audio_options, file_options, target, progress: see ``mux_audio``.
    """

    part: VideoPart
    whole: bool
    info: VideoInfo
    new: NewAudio
    source_audio: tuple[Tensor, int] | None
    audio_options: AudioOptions
    file_options: FileOptions
    target: Path | NumberedName
    progress: Progress

    def plan(self) -> tuple[OutputPlan, CopiedPart | None]:
        """What is written, and the packets that are copied if the video is not encoded."""
        source = self.part.source
        plan = self._plan(self.info.codec)
        if isinstance(source, VideoFile) and plan.copies_video:
            copied = part_from_key_frame(source, self.part.start)
            if copied is not None:
                return self._plan_copy(copied), copied
        if not self.whole or isinstance(source, ImageSequence):
            plan = self._plan(None)
        return plan, None

    def plan_encoding(self, plan: OutputPlan, reason: str) -> OutputPlan:
        """What is written if the container of ``plan`` refused the video's packets."""
        codec = self.info.codec
        reason = f"{plan.container} did not take the {codec} video's packets ({reason})"
        return self._plan(codec, dict.fromkeys(CONTAINERS, reason))

    def prepare_tracks(
        self, plan: OutputPlan, refused: frozenset[int]
    ) -> tuple[OutputTracks, tuple[str, ...]]:
        """All but the picture, and what the user should know of it, a sentence each.

        Args:
            plan: what is written.
            refused: numbers of the source's tracks that the container refused to copy: sound is
                encoded, the others are left out.
        """
        audio, notes = prepare_output_audio(
            self.new,
            _find_source_audio(
                self.part,
                self.audio_options,
                self.source_audio,
                metadata=self.file_options.keep_metadata,
            ),
            duration=self.part.duration,
            options=self.audio_options,
            plan=plan,
            refused=refused,
            progress=self.progress,
        )
        content = self._content
        damaged = [track for track in content.tracks if track.index in refused]
        if damaged:
            tracks = tuple(track for track in content.tracks if track.index not in refused)
            content = replace(content, tracks=tracks)
            told = ", ".join(f"{track.kind} ({track.codec})" for track in damaged)
            notes += (f"{plan.container} did not take damaged tracks: {told} left out.",)
        kept = plan_content(content, plan.container, self.file_options.metadata)
        return OutputTracks(audio=audio, kept=kept), notes

    def write(
        self,
        plan: OutputPlan,
        copied: CopiedPart | None,
        tracks: OutputTracks,
        notes: tuple[str, ...],
    ) -> MuxResult:
        """Write the file.

        Raises:
            PacketsRefused: if the container does not take packets of the video or of a track.
        """
        source, kept = self.part.source, tracks.kept
        with atomic_output(self.target, plan.container, kept.file_tags) as output:
            kept.finish(output)
            if plan.container == "mov":
                output.patches.append(lambda file: set_languages(file, tracks.notes))
            if plan.copies_video:
                assert isinstance(source, VideoFile) and copied is not None
                duration = self.part.duration
                notes += copy_video(source, copied, duration, tracks, output, self.progress)
            else:
                notes += encode_video(self.part, tracks, plan, output, self.progress)
        lost = [*kept.lost, *kept.lost_in(output.path), *lost_labels(output.path, tracks.notes)]
        if plan.copies_video:
            assert isinstance(source, VideoFile)
            lost += lost_properties(source, output.path)
            if not self.whole:
                notes += (_COPIED_PART,)
        if lost:
            told = ", ".join(dict.fromkeys(lost))
            notes += (f"{plan.container} cannot hold the video's {told}; another container may.",)
        return MuxResult(
            path=output.path,
            video_codec=self.info.codec if plan.copies_video else plan.encoded_codec,
            container=plan.container,
            notes=(*plan.notes, *notes, *kept.notes),
        )

    @cached_property
    def _content(self) -> KeptContent:
        """What the source holds besides picture and sound, and the options keep."""
        if not isinstance(self.part.source, VideoFile):
            return KeptContent()
        options = self.file_options
        content = read_content(
            self.part.source, self.part.start, self.part.duration, metadata=options.keep_metadata
        )
        if options.keep_workflow:
            return content
        return replace(content, tags=without_workflow(content.tags))

    def _plan(self, codec: str | None, refused: Mapping[str, str] | None = None) -> OutputPlan:
        return plan_output(self.file_options, codec, refused or {}, bit_depth=self.info.bit_depth)

    def _plan_copy(self, copied: CopiedPart) -> OutputPlan:
        """A copy into a container whose muxer takes the video; an encoding if there is none."""
        assert isinstance(self.part.source, VideoFile)
        refused: dict[str, str] = {}
        plan = self._plan(self.info.codec)
        while plan.copies_video:
            reason = copy_refusal(self.part.source, copied, self.part.duration, plan.container)
            if reason is None:
                break
            refused[plan.container] = reason
            plan = self._plan(self.info.codec, refused)
        return plan


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
