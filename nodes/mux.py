"""MuxAudioVideo: the sound onto the untouched picture, saved and previewed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import Input, InputImpl, io, ui
from torch import Tensor

from ..mmaudio_core.audio.waveform import check_waveform
from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.features.visual import VideoClip
from ..mmaudio_core.media import ImageSequence
from ..mmaudio_core.mux import (
    AudioOptions,
    FileOptions,
    MuxResult,
    encode_images,
    encode_video,
    mux_audio,
)
from .feedback import NodeProgress, notify
from .footage import footage, image_rate, whole_file
from .mux_options import file_options, option_inputs, sound_options, workflow_metadata
from .types import CATEGORY, VideoInfo

ALL_TAKES = -1


class MuxAudioVideo(io.ComfyNode):
    """Puts sound on a video without touching its picture, or makes a video from images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MuxAudioVideo",
            display_name="Mux Audio and Video",
            category=CATEGORY,
            description=(
                "Saves a video with this sound. A video's picture is copied as it is, not encoded "
                "again; images are encoded as H.264."
            ),
            inputs=[
                io.Audio.Input("audio"),
                io.String.Input(
                    "filename_prefix",
                    default="mmaudio/video",
                    tooltip="Folder and start of the file's name, under ComfyUI's output folder.",
                ),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="Its own sound becomes what original_audio says.",
                ),
                io.Image.Input("images", optional=True, tooltip="Frames, instead of a video."),
                io.Float.Input(
                    "frame_rate",
                    default=25.0,
                    min=0.01,
                    max=1000.0,
                    step=0.001,
                    optional=True,
                    tooltip="Images a second; a video has its own.",
                ),
                io.Float.Input(
                    "start_offset",
                    default=0.0,
                    min=0.0,
                    max=600.0,
                    step=0.01,
                    optional=True,
                    tooltip="Seconds into the picture where the sound starts.",
                ),
                io.Int.Input(
                    "take",
                    default=0,
                    min=ALL_TAKES,
                    max=4095,
                    optional=True,
                    tooltip="Which take of the batch to use; the first is 0. -1: a file of each.",
                ),
                *option_inputs(),
                VideoInfo.Input(
                    "video_info",
                    optional=True,
                    tooltip="From VideoHelperSuite, in place of frame_rate.",
                ),
            ],
            outputs=[io.Video.Output(display_name="video")],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        audio: Input.Audio | None,
        filename_prefix: str,
        video: Input.Video | None = None,
        images: Tensor | None = None,
        frame_rate: float = 25.0,
        start_offset: float = 0.0,
        take: int = 0,
        video_info: Any = None,
        **settings: Any,
    ) -> io.NodeOutput:
        takes, rate = _takes(audio, take)
        picture = footage(video, images, image_rate(frame_rate, video_info))
        if picture is None:
            raise MediaError("neither video nor images are connected: connect one of them")
        metadata = workflow_metadata(cls.hidden.prompt, cls.hidden.extra_pnginfo)
        job = _Job(
            picture=picture,
            video=video,
            start=exact_seconds(start_offset),
            sound=sound_options(settings),
            file=file_options(settings, metadata),
        )
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory()
        )
        bar = NodeProgress({str(number): 1 for number in range(len(takes))})
        results = [
            job.write(
                one, rate, Path(folder) / f"{name}_{counter + number:05}_", _part(bar, number)
            )
            for number, one in enumerate(takes)
        ]
        notify(cls.hidden.unique_id, dict.fromkeys(note for r in results for note in r.notes))
        saved = [ui.SavedResult(r.path.name, subfolder, io.FolderType.output) for r in results]
        first = InputImpl.VideoFromFile(str(results[0].path))
        return io.NodeOutput(first, ui=ui.PreviewVideo(saved))


def _takes(audio: Input.Audio | None, take: int) -> tuple[list[Tensor], int]:
    """The waveforms (C, T) of the takes to write, none of them broken, and their sample rate."""
    if audio is None:
        raise MediaError(
            "no sound was got (a video without a sound track?): connect the audio of MMAudio "
            "Sampler"
        )
    takes, rate = audio["waveform"], int(audio["sample_rate"])
    if take >= len(takes):
        raise MediaError(
            f"take {take} was asked for, but there are {len(takes)}, counted from 0: set take to "
            f"{len(takes) - 1} or less, or num_samples to {take + 1} or more"
        )
    chosen = list(takes) if take == ALL_TAKES else [takes[take]]
    for one in chosen:
        check_waveform(one, rate)
    return chosen, rate


def _part(bar: NodeProgress, number: int) -> Callable[[str, int, int], None]:
    """Progress of one take."""

    def progress(_stage: str, done: int, total: int, /) -> None:
        bar(str(number), done, total)

    return progress


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What is the same for all takes."""

    picture: VideoClip
    video: Input.Video | None
    start: Fraction
    sound: AudioOptions
    file: FileOptions

    def write(
        self, take: Tensor, rate: int, stem: Path, progress: Callable[[str, int, int], None]
    ) -> MuxResult:
        """One file: the picture copied where that can be."""
        frames = self.picture.source
        if isinstance(frames, ImageSequence):
            if len(frames.images) == 1:  # a still picture lasts as long as its sound
                seconds = self.start + Fraction(take.shape[-1], rate)
                count = max(1, math.ceil(seconds * frames.frame_rate))
                frames = replace(frames, images=frames.images.expand(count, -1, -1, -1))
            return encode_images(
                frames,
                take,
                rate,
                stem,
                start=self.start,
                sound=self.sound,
                file=self.file,
                original=self._original(),
                progress=progress,
            )
        if whole_file(self.picture):
            return mux_audio(
                frames,
                take,
                rate,
                stem,
                start=self.start,
                sound=self.sound,
                file=self.file,
                progress=progress,
            )
        return encode_video(
            frames,
            take,
            rate,
            stem,
            begin=self.picture.start,
            duration=self.picture.duration,
            start=self.start,
            sound=self.sound,
            file=self.file,
            progress=progress,
        )

    def _original(self) -> tuple[Tensor, int] | None:
        """The sound of a video that is no file."""
        if self.sound.original == "replace" or self.video is None:
            return None
        audio = self.video.get_components().audio
        if audio is None or not audio["waveform"].numel():
            return None
        return audio["waveform"][0], int(audio["sample_rate"])
