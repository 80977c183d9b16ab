"""MMAudioFeatureExtract: from a video, images or prompts to what the sampler is conditioned on."""

from __future__ import annotations

from comfy_api.latest import Input, io
from torch import Tensor

from ..mmaudio_core.extract import Request, extract
from ..mmaudio_core.features import CLIP_STAGE, SYNC_STAGE, TEXT_STAGE
from ..mmaudio_core.sequence import exact_seconds
from .feedback import NodeProgress, notify
from .footage import footage
from .runtime import ComfyNetworks
from .types import CATEGORY, MMAudio, MMAudioFeatures


class MMAudioFeatureExtract(io.ComfyNode):
    """Encodes the picture (CLIP, Synchformer) and the prompts (CLIP)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioFeatureExtract",
            display_name="MMAudio Feature Extract",
            category=CATEGORY,
            description=(
                "Looks at a video (or images) and reads the prompts. Without video and images: "
                "text to audio. With one image: image to audio."
            ),
            inputs=[
                MMAudio.Input("mmaudio"),
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    tooltip="What should be heard. May be empty.",
                ),
                io.String.Input(
                    "negative_prompt",
                    default="",
                    multiline=True,
                    tooltip="What should not be heard, such as music. It reduces, not prevents.",
                ),
                io.Float.Input(
                    "duration",
                    default=8.0,
                    min=0.0,
                    max=600.0,
                    step=0.01,
                    tooltip=(
                        "Seconds of sound; 0: to the end of the video. Cut at the video's end. "
                        "The model was trained on 8 s."
                    ),
                ),
                io.Float.Input(
                    "start_offset",
                    default=0.0,
                    min=0.0,
                    max=600.0,
                    step=0.01,
                    tooltip="Seconds into the video where the sound starts.",
                ),
                io.Boolean.Input(
                    "mask_away_clip",
                    default=False,
                    tooltip=(
                        "Hide what is seen and keep when it happens: for prompts that should win "
                        "over the picture."
                    ),
                ),
                io.Video.Input("video", optional=True, tooltip="Its sound, if any, is ignored."),
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
            ],
            outputs=[MMAudioFeatures.Output(display_name="features")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        mmaudio: ComfyNetworks,
        prompt: str,
        negative_prompt: str,
        duration: float,
        start_offset: float,
        mask_away_clip: bool,
        video: Input.Video | None = None,
        images: Tensor | None = None,
        frame_rate: float = 25.0,
    ) -> io.NodeOutput:
        request = Request(
            prompt=prompt,
            negative_prompt=negative_prompt,
            duration=exact_seconds(duration),
            start=exact_seconds(start_offset),
            mask_away_clip=mask_away_clip,
        )
        progress = NodeProgress({CLIP_STAGE: 5, SYNC_STAGE: 4, TEXT_STAGE: 1})
        extracted = extract(mmaudio, footage(video, images, frame_rate), request, progress)
        notify(cls.hidden.unique_id, extracted.notices)
        return io.NodeOutput(extracted.features)
