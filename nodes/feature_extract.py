"""MMAudioFeatureExtract: from a video, images or prompts to what a sampler is conditioned on.

The node expands into its three parts (``visual_features``, ``text_features``, ``join_features``),
which ComfyUI caches separately: a new prompt does not encode the video again.
"""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from comfy_execution.graph_utils import GraphBuilder

from .cures import Node
from .footage import check_one_source, images_rate
from .inputs import FRAME_RATE, frame_rate, seconds, video_info
from .presets import NEGATIVE_PRESETS, NONE, with_preset
from .types import CATEGORY, MMAudio, MMAudioFeatures

# The parts get the link instead of the value: ComfyUI's cache compares links, not values.
_LINK = {"rawLink": True}


class MMAudioFeatureExtract(Node):
    """Encodes the picture (CLIP, Synchformer) and the prompts (CLIP)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioFeatureExtract",
            display_name="MMAudio Feature Extract",
            category=CATEGORY,
            description=(
                "Encodes a video (or images) and the prompts. Without video and images: text to "
                "audio. With one image: image to audio."
            ),
            inputs=[
                MMAudio.Input("mmaudio", tooltip="From Load MMAudio Model.", extra_dict=_LINK),
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    tooltip="The sounds you want. May be empty.",
                ),
                io.String.Input(
                    "negative_prompt",
                    default="",
                    multiline=True,
                    tooltip="Sounds you do not want, such as music. Makes them rarer, no more.",
                ),
                seconds(
                    "duration",
                    8.0,
                    "Seconds of sound. 0: to the end of the video. Cut at the video's end. The "
                    "model was trained on 8 s.",
                ),
                seconds("start_offset", 0.0, "Where in the video the sound starts, in seconds."),
                io.Boolean.Input(
                    "mask_away_clip",
                    default=False,
                    tooltip=(
                        "Use the timing of the picture, but not what it shows: for prompts that "
                        "should override the picture."
                    ),
                ),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="Its own sound, if any, is ignored.",
                    extra_dict=_LINK,
                ),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="Frames instead of a video.",
                    extra_dict=_LINK,
                ),
                frame_rate(),
                io.Combo.Input(
                    "negative_preset",
                    options=list(NEGATIVE_PRESETS),
                    default=NONE,
                    optional=True,
                    tooltip="Words to append to the negative prompt.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip=(
                        "Generate sound only for what is white; black is hidden. One mask, or one "
                        "per frame."
                    ),
                    extra_dict=_LINK,
                ),
                video_info(),
            ],
            outputs=[
                MMAudioFeatures.Output(display_name="features"),
                io.Conditioning.Output(display_name="positive", tooltip="For KSampler."),
                io.Conditioning.Output(display_name="negative", tooltip="For KSampler."),
                io.Latent.Output(
                    display_name="latent", tooltip="Empty, of the right length, for KSampler."
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
        frame_rate: float = FRAME_RATE,
        negative_preset: str = NONE,
        mask: Any = None,
        video_info: Any = None,
    ) -> io.NodeOutput:
        check_one_source(video, images)
        graph = GraphBuilder()
        pictures = {"video": video, "images": images, "mask": mask}
        if images is not None:  # beside a video, a new rate would only invalidate the cache
            pictures["frame_rate"] = images_rate(frame_rate, video_info)
        visual = graph.node(
            "MMAudioVisualFeatures",
            mmaudio=mmaudio,
            duration=duration,
            start_offset=start_offset,
            mask_away_clip=mask_away_clip,
            **{name: value for name, value in pictures.items() if value is not None},
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
