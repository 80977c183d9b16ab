"""The parts that MMAudioFeatureExtract expands into; each can be used by itself too."""

from __future__ import annotations

from comfy_api.latest import Input, io
from torch import Tensor

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.features.encoders import CLIP_STAGE, SYNC_STAGE, TEXT_STAGE
from ..mmaudio_core.features.text import encode_prompts
from ..mmaudio_core.features.types import Features, TextFeatures, VisualFeatures
from ..mmaudio_core.features.visual import TimeRange, extract_visual_features
from .conditioning import conditioning
from .feedback import NodeProgress, notify
from .footage import footage
from .latents import empty
from .model_manager import ComfyModels
from .types import PARTS, MMAudio, MMAudioFeatures, MMAudioText, MMAudioVisual


class MMAudioVisualFeatures(io.ComfyNode):
    """Looks at a video or images, once, whatever the prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioVisualFeatures",
            display_name="MMAudio Visual Features",
            category=PARTS,
            description="The part of MMAudio Feature Extract that looks at the picture.",
            inputs=[
                MMAudio.Input("mmaudio"),
                io.Float.Input("duration", default=8.0, min=0.0, max=600.0, step=0.01),
                io.Float.Input("start_offset", default=0.0, min=0.0, max=600.0, step=0.01),
                io.Boolean.Input("mask_away_clip", default=False),
                io.Video.Input("video", optional=True),
                io.Image.Input("images", optional=True),
                io.Float.Input(
                    "frame_rate", default=25.0, min=0.01, max=1000.0, step=0.001, optional=True
                ),
                io.Mask.Input("mask", optional=True),
            ],
            outputs=[MMAudioVisual.Output(display_name="visual")],
            hidden=[io.Hidden.unique_id],
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
        frame_rate: float = 25.0,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        span = TimeRange(
            duration=exact_seconds(duration),
            start=exact_seconds(start_offset),
            mask_away_clip=mask_away_clip,
        )
        progress = NodeProgress({CLIP_STAGE: 1, SYNC_STAGE: 1})
        seen = extract_visual_features(
            mmaudio,
            footage(video, images, frame_rate, mask),
            span,
            progress,
            prefetch_frames=mmaudio.encoders_on_gpu,
        )
        notify(cls.hidden.unique_id, seen.notices)
        return io.NodeOutput(seen.features)


class MMAudioTextFeatures(io.ComfyNode):
    """Reads the prompts."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioTextFeatures",
            display_name="MMAudio Text Features",
            category=PARTS,
            description="The part of MMAudio Feature Extract that reads the prompts.",
            inputs=[
                MMAudio.Input("mmaudio"),
                io.String.Input("prompt", default="", multiline=True),
                io.String.Input("negative_prompt", default="", multiline=True),
            ],
            outputs=[MMAudioText.Output(display_name="text")],
        )

    @classmethod
    def execute(cls, mmaudio: ComfyModels, prompt: str, negative_prompt: str) -> io.NodeOutput:
        progress = NodeProgress({TEXT_STAGE: 1})
        return io.NodeOutput(encode_prompts(mmaudio, prompt, negative_prompt, progress))


class MMAudioJoinFeatures(io.ComfyNode):
    """Both together, for MMAudioSampler and for ComfyUI's own samplers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioJoinFeatures",
            display_name="MMAudio Join Features",
            category=PARTS,
            description="The part of MMAudio Feature Extract that joins picture and prompts.",
            inputs=[
                MMAudio.Input("mmaudio"),
                MMAudioVisual.Input("visual"),
                MMAudioText.Input("text"),
            ],
            outputs=[
                MMAudioFeatures.Output(display_name="features"),
                io.Conditioning.Output(display_name="positive"),
                io.Conditioning.Output(display_name="negative"),
                io.Latent.Output(display_name="latent"),
            ],
        )

    @classmethod
    def execute(
        cls, mmaudio: ComfyModels, visual: VisualFeatures, text: TextFeatures
    ) -> io.NodeOutput:
        features = Features.join(visual, text)
        silence = empty(features.duration, mmaudio.params.audio)
        return io.NodeOutput(features, *conditioning(features), silence)
