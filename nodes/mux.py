"""MuxAudioVideo: the sound onto the untouched picture, saved and previewed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import folder_paths
from comfy_api.latest import Input, InputImpl, io, ui
from torch import Tensor

from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.extract import Footage
from ..mmaudio_core.media import ImageSequence
from ..mmaudio_core.mux import MuxResult, encode_images, mux_audio
from ..mmaudio_core.sequence import exact_seconds
from .feedback import NodeProgress, notify
from .footage import footage, whole_file
from .types import CATEGORY


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
                io.Video.Input("video", optional=True, tooltip="Its own sound is replaced."),
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
                    min=0,
                    max=4095,
                    optional=True,
                    tooltip="Which take of the batch to use; the first is 0.",
                ),
            ],
            outputs=[io.Video.Output(display_name="video")],
            hidden=[io.Hidden.unique_id],
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
    ) -> io.NodeOutput:
        waveform, rate = _take(audio, take)
        picture = footage(video, images, frame_rate)
        if picture is None:
            raise MediaError("neither video nor images are connected: connect one of them")
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory()
        )
        stem = Path(folder) / f"{name}_{counter:05}_"
        result = _write(picture, video, waveform, rate, stem, start_offset)
        notify(cls.hidden.unique_id, result.notes)
        saved = ui.SavedResult(result.path.name, subfolder, io.FolderType.output)
        return io.NodeOutput(InputImpl.VideoFromFile(str(result.path)), ui=ui.PreviewVideo([saved]))


def _take(audio: Input.Audio | None, take: int) -> tuple[Tensor, int]:
    """The waveform (C, T) of one take, and its sample rate."""
    if audio is None:
        raise MediaError(
            "no sound was got (a video without a sound track?): connect the audio of MMAudio "
            "Sampler"
        )
    takes = audio["waveform"]
    if take >= len(takes):
        raise MediaError(
            f"take {take} was asked for, but there are {len(takes)}, counted from 0: set take to "
            f"{len(takes) - 1} or less, or num_samples to {take + 1} or more"
        )
    return takes[take], int(audio["sample_rate"])


def _write(
    picture: Footage,
    video: Input.Video | None,
    waveform: Tensor,
    rate: int,
    stem: Path,
    start_offset: float,
) -> MuxResult:
    start = exact_seconds(start_offset)
    bar = NodeProgress({"mux": 1})

    def progress(_stage: str, done: int, total: int, /) -> None:
        bar("mux", done, total)

    if whole_file(picture):
        assert not isinstance(picture.source, ImageSequence)
        return mux_audio(picture.source, waveform, rate, stem, start=start, progress=progress)
    frames = picture.source
    if not isinstance(frames, ImageSequence):  # a trimmed file: its frames, cut by ComfyUI
        assert video is not None
        parts = video.get_components()
        frames = ImageSequence(images=parts.images, frame_rate=exact_seconds(parts.frame_rate))
    if len(frames.images) == 1:  # a still picture lasts as long as its sound
        seconds = start + exact_seconds(waveform.shape[-1]) / rate
        count = max(1, math.ceil(seconds * frames.frame_rate))
        frames = replace(frames, images=frames.images.expand(count, -1, -1, -1))
    return encode_images(frames, waveform, rate, stem, start=start, progress=progress)
