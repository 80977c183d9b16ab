"""MuxAudioVideo: writes sound and picture into a file, and shows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

from comfy_api.latest import Input, InputImpl, io, ui
from torch import Tensor

from ..mmaudio_core.audio.waveform import Audio, check_finite_samples, read_audio
from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.errors import MediaError, Problem
from ..mmaudio_core.features.visual import VideoClip
from ..mmaudio_core.media import ImageSequence, open_source
from ..mmaudio_core.mux import AudioOptions, FileOptions, MuxResult, NumberedName, mux_audio
from ..mmaudio_core.progress import Progress
from . import compat, inputs, wiring
from .cures import Node
from .feedback import with_notices
from .filename_tokens import expand_prefix
from .footage import NO_PICTURE, images_rate, to_clip
from .mux_options import (
    AUDIO,
    FILE,
    LOUDNESS,
    OFF,
    keep_metadata_input,
    option_inputs,
    workflow_metadata,
    writes_workflow,
)
from .results import check_prefix, result_name, write_takes
from .take_files import Picture, is_of_page, panel
from .take_notes import check_take, read_notes
from .types import CATEGORY

ALL_TAKES = -1


class MuxAudioVideo(Node):
    """Adds sound to a video without touching its picture, or makes a video from images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MuxAudioVideo",
            display_name="Mux Audio and Video",
            category=CATEGORY,
            description=(
                "Saves a video with this sound. A video's picture is copied without encoding it "
                "again; images are encoded as H.264."
            ),
            inputs=[
                io.Audio.Input(
                    "audio",
                    tooltip="From MMAudio Sampler or another node.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default="mmaudio/video",
                    tooltip=(
                        "Folder and start of the file name, under ComfyUI's output folder. "
                        "%date:yyyy-MM-dd%, %width%, %height% and %Node.widget% are replaced."
                    ),
                ),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="original_audio decides what happens to its own sound.",
                ),
                io.Image.Input("images", optional=True, tooltip="Frames instead of a video."),
                inputs.frame_rate(),
                inputs.sound_start(),
                io.Int.Input(
                    "take",
                    default=0,
                    min=ALL_TAKES,
                    max=4095,
                    optional=True,
                    tooltip="Which take of the batch to use, counted from 0. -1: a file for each.",
                ),
                *option_inputs(),
                inputs.video_info(),
                keep_metadata_input(),
            ],
            outputs=[io.Video.Output(display_name="video")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
            **compat.later_schema_fields(
                search_aliases=["add audio to video", "combine audio and video", "save video"]
            ),
        )

    @classmethod
    def validate_inputs(
        cls, input_types: Mapping[str, Any], filename_prefix: str | None = None
    ) -> bool:
        """Refuse what cannot work before anything runs; a linked prefix is None here.

        Raises:
            MediaError: raised, not returned, which would show it once for each argument.
        """
        problem = (
            wiring.wrong_type(cls, input_types)
            or wiring.two_pictures(input_types)
            or wiring.no_picture(input_types)
        )
        if problem is not None:
            raise MediaError(problem)
        if filename_prefix is not None and "%" not in filename_prefix:
            check_prefix(filename_prefix)
        return True

    @classmethod
    def execute(
        cls,
        audio: Input.Audio | None,
        filename_prefix: str,
        video: Input.Video | None = None,
        images: Tensor | None = None,
        frame_rate: float = inputs.FRAME_RATE,
        start_offset: float = 0.0,
        take: int = 0,
        original_audio: str = AUDIO.source_audio,
        gain_db: float = AUDIO.gain_db,
        fade_in: float = AUDIO.fade_in,
        fade_out: float = AUDIO.fade_out,
        loudness: str = OFF,
        container: str = FILE.container,
        audio_codec: str = FILE.audio_codec,
        bitrate: int = FILE.bitrate,
        trim_to_audio: bool = FILE.trim_to_audio,
        crf: int = FILE.crf,
        pix_fmt: str = FILE.pix_fmt,
        video_info: Any = None,
        keep_metadata: bool = FILE.keep_metadata,
    ) -> io.NodeOutput:
        sound = read_audio(audio)
        takes = _choose_takes(sound, take)
        clip = to_clip(video, images, images_rate(frame_rate, video_info))
        if clip is None:
            raise MediaError(NO_PICTURE)
        prefix, notes = expand_prefix(filename_prefix, cls.hidden, partial(_picture_size, clip))
        name, subfolder = result_name(prefix)
        job = _MuxJob(
            clip=clip,
            video=video,
            audio_start=exact_seconds(start_offset),
            audio_options=AudioOptions(
                source_audio=original_audio,
                gain_db=gain_db,
                fade_in=fade_in,
                fade_out=fade_out,
                loudness=LOUDNESS[loudness],
            ),
            file_options=FileOptions(
                container=container,
                audio_codec=audio_codec,
                bitrate=bitrate,
                trim_to_audio=trim_to_audio,
                crf=crf,
                pix_fmt=pix_fmt,
                keep_metadata=keep_metadata,
                keep_workflow=writes_workflow(),
                metadata=workflow_metadata(cls.hidden.prompt, cls.hidden.extra_pnginfo),
            ),
        )
        results = write_takes(takes, name, partial(job.write, sound.sample_rate))
        notices = dict.fromkeys([*notes, *(note for r in results for note in r.notes)])
        saved = [ui.SavedResult(r.path.name, subfolder, io.FolderType.output) for r in results]
        shown = dict(ui.PreviewVideo(saved).as_dict())
        if is_of_page(cls.hidden.extra_pnginfo):
            picture = Picture(dict(saved[0]), name=saved[0]["filename"])
            shown |= panel(sound, read_notes(audio), lambda: picture, start_offset, take, saved)
        first = InputImpl.VideoFromFile(str(results[0].path))
        return with_notices(first, notices=notices, ui=shown)


def _choose_takes(sound: Audio, take: int) -> list[Tensor]:
    """The waveforms (C, T) to write, all of them checked before any is written."""
    waveforms = sound.waveforms
    check_take(take, len(waveforms))
    chosen = list(waveforms) if take == ALL_TAKES else [waveforms[take]]
    for waveform in chosen:
        check_finite_samples(waveform)
    return chosen


def _picture_size(clip: VideoClip) -> tuple[int, int]:
    info = open_source(clip.source).info
    return info.width, info.height


@dataclass(frozen=True, kw_only=True)
class _MuxJob:
    """What all takes have in common.

    Attributes:
        clip: the picture.
        video: the input that ``clip`` was made from, if it was a VIDEO.
        audio_start: seconds into the picture where the sound starts; below 0, before it.
    """

    clip: VideoClip
    video: Input.Video | None
    audio_start: Fraction
    audio_options: AudioOptions
    file_options: FileOptions

    def write(self, rate: int, take: Tensor, name: NumberedName, progress: Progress) -> MuxResult:
        """Write a file of that name, copying the picture if possible."""
        source = self.clip.source
        if isinstance(source, ImageSequence) and len(source.images) == 1:
            # a still picture lasts as long as the sound
            seconds = self.audio_start + Fraction(take.shape[-1], rate)
            count = max(1, math.ceil(seconds * source.frame_rate))
            source = replace(source, images=source.images.expand(count, -1, -1, -1))
        return mux_audio(
            source,
            take,
            rate,
            name,
            start=self.clip.start,
            duration=self.clip.duration,
            audio_start=self.audio_start,
            audio_options=self.audio_options,
            file_options=self.file_options,
            source_audio=self._source_audio(),
            progress=progress,
        )

    def _source_audio(self) -> tuple[Tensor, int] | None:
        """Waveform (C, T) and rate of a video that is not a file, if they are used."""
        if self.audio_options.source_audio == "replace" or self.video is None:
            return None
        if not isinstance(self.clip.source, ImageSequence):
            return None
        try:
            own = read_audio(self.video.get_components().audio)
        except MediaError as error:
            if error.problem in (Problem.NO_AUDIO, Problem.AUDIO_EMPTY):
                return None
            raise MediaError(f"the video's own sound: {error}", Problem.SOURCE_AUDIO) from error
        return own.waveforms[0], own.sample_rate
