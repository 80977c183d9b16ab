"""MMAudioPlot: frames, motion, waveform and mel spectrogram on one time axis, as an IMAGE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from comfy_api.latest import Input, io
from torch import Tensor

from ..mmaudio_core.audio.onsets import find_onsets
from ..mmaudio_core.audio.waveform import leave_out_beginning, read_audio
from ..mmaudio_core.config import SYNC_FPS, exact_seconds
from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.features.motion import MotionMeter
from ..mmaudio_core.features.shots import detect_shot_changes
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.features.visual import VideoClip
from ..mmaudio_core.media.reader import FrameReader
from . import compat, inputs, wiring
from .cures import Node
from .feedback import NodeProgress, with_notices
from .footage import images_rate, to_clip
from .plot_picture import Plot, draw
from .take_notes import check_take
from .types import CATEGORY, MMAudioFeatures

_SHOWN_FRAMES = 10


class MMAudioPlot(Node):
    """Shows whether sound and picture are in step."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioPlot",
            display_name="MMAudio Plot",
            category=CATEGORY,
            description=(
                "Draws frames, their motion, the waveform and its mel spectrogram on one time "
                "axis, with the onsets of the sound and the cuts of the picture."
            ),
            inputs=[
                io.Audio.Input("audio", tooltip="The sound to draw."),
                io.Video.Input("video", optional=True, tooltip="The picture to draw."),
                io.Image.Input("images", optional=True, tooltip="Frames instead of a video."),
                MMAudioFeatures.Input(
                    "features",
                    optional=True,
                    tooltip="For the cuts of the picture, and for its motion if no picture is "
                    "connected.",
                ),
                inputs.frame_rate(),
                inputs.sound_start(),
                io.Int.Input(
                    "take",
                    default=0,
                    min=0,
                    max=4095,
                    optional=True,
                    tooltip="Which take of the batch to draw, counted from 0.",
                ),
                inputs.video_info(),
            ],
            outputs=[io.Image.Output(display_name="image")],
            **compat.later_schema_fields(
                search_aliases=["waveform", "spectrogram", "plot audio", "sync check", "onsets"]
            ),
        )

    @classmethod
    def validate_inputs(cls, input_types: Mapping[str, Any]) -> bool:
        """Refuse what cannot work before anything runs.

        Raises:
            MediaError: raised, not returned, which would show it once for each argument.
        """
        problem = wiring.wrong_type(cls, input_types) or wiring.two_pictures(input_types)
        if problem is not None:
            raise MediaError(problem)
        return True

    @classmethod
    def execute(
        cls,
        audio: Input.Audio | None,
        video: Input.Video | None = None,
        images: Tensor | None = None,
        features: Features | None = None,
        frame_rate: float = inputs.FRAME_RATE,
        start_offset: float = 0.0,
        take: int = 0,
        video_info: Any = None,
    ) -> io.NodeOutput:
        sound = read_audio(audio)
        clip = to_clip(video, images, images_rate(frame_rate, video_info))
        check_take(take, len(sound.waveforms))
        begin = exact_seconds(start_offset)
        rate = sound.sample_rate
        waveform, start = leave_out_beginning(sound.waveforms[take], rate, begin)
        frames = motion = None
        if clip is not None:
            frames, motion = _look(clip)
        elif features is not None and features.motion is not None:
            shift = round(begin * SYNC_FPS)  # they begin with the sound
            motion = F.pad(features.motion[max(0, -shift) :], (max(0, shift), 0))
        seconds = 0.0 if motion is None else len(motion) / SYNC_FPS
        end = max(seconds, float(start) + waveform.shape[1] / rate)
        cuts = () if features is None else detect_shot_changes(features.clip)
        plot = Plot(
            duration=end,
            frames=None if frames is None else _spread(frames, end),
            motion=None if motion is None else _fill(motion, end),
            waveform=waveform,
            sample_rate=rate,
            sound_start=float(start),
            onsets=find_onsets(waveform, rate),
            cuts=[time for cut in cuts if (time := float(begin) + cut) > 0],
        )
        return with_notices(draw(plot), notices=[])


def _look(clip: VideoClip) -> tuple[Tensor, Tensor]:
    """Frames (n, H, W, 3), 5 a second, and the energy of motion (m,), 25 a second."""
    progress = NodeProgress({"frames": 1})
    reader = FrameReader(
        clip.source, start=clip.start, duration=clip.duration, clip=False, progress=progress
    )
    kept: list[Tensor] = []
    meter = MotionMeter()
    for chunk in reader:
        meter.add(chunk.sync)
        kept.append(chunk.sync[:: SYNC_FPS // 5])  # five a second are plenty to choose from
    motion = meter.energy
    if not len(motion):
        raise MediaError("got a video without a frame, expected at least one.")
    return torch.cat(kept).permute(0, 2, 3, 1), motion


def _spread(frames: Tensor, end: float) -> Tensor:
    """Frames at equal distances over the axis; black beyond the picture's end."""
    wanted = [int((place + 0.5) * end / _SHOWN_FRAMES * 5) for place in range(_SHOWN_FRAMES)]
    black = torch.zeros_like(frames[0])
    return torch.stack([frames[at] if at < len(frames) else black for at in wanted])


def _fill(motion: Tensor, end: float) -> Tensor:
    """Motion over the whole axis; nothing moves beyond the picture's end."""
    missing = max(0, round(end * SYNC_FPS) - len(motion))
    return torch.cat([motion, motion.new_zeros(missing)])
