"""MMAudioFeatureExtract: from a video, images or prompts to what a sampler is conditioned on.

It expands into three nodes (``nodes/feature_parts.py``), each cached by ComfyUI on its own: another
prompt does not look at the video again.
"""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from comfy_execution.graph_utils import GraphBuilder

from ..mmaudio_core.errors import MediaError
from .footage import image_rate
from .presets import PRESETS, with_preset
from .types import CATEGORY, MMAudio, MMAudioFeatures, VideoInfo

# The parts get the link, not the value: ComfyUI cannot tell whether two values are the same.
_LINK = {"rawLink": True}


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
                MMAudio.Input("mmaudio", extra_dict=_LINK),
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
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="Its sound, if any, is ignored.",
                    extra_dict=_LINK,
                ),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="Frames, instead of a video.",
                    extra_dict=_LINK,
                ),
                io.Float.Input(
                    "frame_rate",
                    default=25.0,
                    min=0.01,
                    max=1000.0,
                    step=0.001,
                    optional=True,
                    tooltip="Images a second; a video has its own.",
                ),
                io.Combo.Input(
                    "negative_preset",
                    options=list(PRESETS),
                    default=next(iter(PRESETS)),
                    optional=True,
                    tooltip="Words added to the negative prompt.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip=(
                        "Sound for what is in the white only; black is hidden. One mask, or one a "
                        "frame."
                    ),
                    extra_dict=_LINK,
                ),
                VideoInfo.Input(
                    "video_info",
                    optional=True,
                    tooltip="From VideoHelperSuite, in place of frame_rate.",
                ),
            ],
            outputs=[
                MMAudioFeatures.Output(display_name="features"),
                io.Conditioning.Output(display_name="positive", tooltip="For KSampler."),
                io.Conditioning.Output(display_name="negative", tooltip="For KSampler."),
                io.Latent.Output(
                    display_name="latent", tooltip="Empty, as long as the sound: for KSampler."
                ),
            ],
            enable_expand=True,
        )

    @classmethod
    def execute(
        cls,
        mmaudio: Any,
        prompt: str,
        negative_prompt: str,
        duration: float,
        start_offset: float,
        mask_away_clip: bool,
        video: Any = None,
        images: Any = None,
        frame_rate: float = 25.0,
        negative_preset: str = "none",
        mask: Any = None,
        video_info: Any = None,
    ) -> io.NodeOutput:
        if video is not None and images is not None:
            raise MediaError(
                "both video and images are connected, one of them was expected: disconnect one"
            )
        graph = GraphBuilder()
        picture = {"video": video} if images is None else {"images": images}
        if images is not None:  # with a video it would only make ComfyUI look at it again
            picture["frame_rate"] = image_rate(frame_rate, video_info)
        picture["mask"] = mask
        visual = graph.node(
            "MMAudioVisualFeatures",
            mmaudio=mmaudio,
            duration=duration,
            start_offset=start_offset,
            mask_away_clip=mask_away_clip,
            **{name: value for name, value in picture.items() if value is not None},
        )
        text = graph.node(
            "MMAudioTextFeatures",
            mmaudio=mmaudio,
            prompt=prompt,
            negative_prompt=with_preset(negative_prompt, negative_preset),
        )
        joined = graph.node(
            "MMAudioJoinFeatures", mmaudio=mmaudio, visual=visual.out(0), text=text.out(0)
        )
        return io.NodeOutput(*(joined.out(slot) for slot in range(4)), expand=graph.finalize())
