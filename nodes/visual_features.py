"""MMAudioVisualFeatures: encodes a video or images with CLIP and Synchformer."""

from __future__ import annotations

from comfy_api.latest import Input, io
from torch import Tensor

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.features.encoders import CLIP_STAGE, SYNC_STAGE
from ..mmaudio_core.features.visual import TimeRange
from . import compat
from .cures import Node
from .features import extract_visual
from .feedback import NodeProgress, with_notices
from .footage import to_clip
from .inputs import FRAME_RATE, frame_rate, mmaudio, seconds
from .model_manager import ComfyModels
from .types import PARTS, MMAudioVisual


class MMAudioVisualFeatures(Node):
    """The visual part of MMAudioFeatureExtract."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioVisualFeatures",
            display_name="MMAudio Visual Features",
            category=PARTS,
            is_deprecated=True,
            description="The part of MMAudio Feature Extract that encodes the picture.",
            inputs=[
                mmaudio(),
                seconds("duration", 8.0, "Seconds of sound. 0: to the end of the video."),
                seconds("start_offset", 0.0, "Where in the video the sound starts, in seconds."),
                io.Boolean.Input(
                    "mask_away_clip",
                    default=False,
                    tooltip="Use the timing of the picture, but not what it shows.",
                ),
                io.Video.Input(
                    "video", optional=True, tooltip="Its own sound, if any, is ignored."
                ),
                io.Image.Input("images", optional=True, tooltip="Frames instead of a video."),
                frame_rate(),
                io.Mask.Input("mask", optional=True, tooltip="White is used, black is hidden."),
            ],
            outputs=[MMAudioVisual.Output(display_name="visual")],
            **compat.later_schema_fields(has_intermediate_output=True),
        )

    @classmethod
    def execute(
        cls,
        mmaudio: ComfyModels,
        duration: float,
        start_offset: float,
        mask_away_clip: bool,
        video: Input.Video | None = None,
        images: Tensor | None = None,
        frame_rate: float = FRAME_RATE,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        time_range = TimeRange(
            duration=exact_seconds(duration),
            start=exact_seconds(start_offset),
            mask_away_clip=mask_away_clip,
        )
        clip = to_clip(video, images, frame_rate, mask)
        progress = NodeProgress({CLIP_STAGE: 1, SYNC_STAGE: 1})
        result = extract_visual(mmaudio, clip, time_range, progress)
        return with_notices(result.features, notices=result.notices)
