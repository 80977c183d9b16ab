"""Writing a video with new audio, from the options to the finished file."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from ..errors import MediaError
from ..media import FrameSource, PathOrBytes, VideoFile, open_source
from ..progress import Progress, no_progress
from .atomic_output import PacketsRefused
from .encode import VideoPart
from .job import MuxJob, MuxResult
from .options import AudioOptions, FileOptions
from .output_name import NumberedName
from .prepared_audio import NewAudio
from .refused_tracks import refused_tracks


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
        audio_start: when in that part the new audio begins, in seconds, with silence before it;
            below 0, its first ``-audio_start`` seconds are left out.
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
    new = NewAudio.starting(waveform, sample_rate, audio_start)
    source = open_source(video)
    whole = start == 0 and duration is None
    info = source.packets.info if whole and isinstance(source, VideoFile) else source.info
    part = _choose_part(source, info.duration, start, duration)
    if file_options.trim_to_audio:
        part = replace(part, duration=min(part.duration, new.end))
    job = MuxJob(
        part=part,
        whole=whole,
        info=info,
        new=new,
        source_audio=source_audio,
        audio_options=audio_options,
        file_options=file_options,
        target=target,
        progress=progress,
    )
    plan, copied = job.plan()
    refused: frozenset[int] = frozenset()
    while True:
        tracks, notes = job.prepare_tracks(plan, refused)
        try:
            return job.write(plan, copied, tracks, notes)
        except PacketsRefused as refusal:
            newly = refused_tracks(tracks, plan.container) - refused
            refused |= newly
            if not newly and not plan.copies_video:
                raise
            if not newly:
                plan = job.plan_encoding(plan, refusal.reason)


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
