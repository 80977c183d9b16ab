"""MMAudioFeatureExtract: from a video, images or prompts to what a sampler is conditioned on.

What was encoded before is taken from the cache of the loaded model: a new prompt does not encode
the video again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import Input, io
from torch import Tensor

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.features.encoders import CLIP_STAGE, SYNC_STAGE, TEXT_STAGE
from ..mmaudio_core.features.text import encode_prompts
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.features.visual import TimeRange
from . import compat, wiring
from .cures import Node
from .features import extract_visual, to_outputs
from .feedback import NodeProgress, with_notices
from .footage import images_rate, to_clip
from .inputs import FRAME_RATE, frame_rate, seconds, video_info
from .model_manager import ComfyModels
from .presets import NEGATIVE_PRESETS, NONE, with_preset
from .types import CATEGORY, MMAudio, MMAudioFeatures


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
                MMAudio.Input("mmaudio", tooltip="From Load MMAudio Model."),
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
                ),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="Frames instead of a video.",
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
            **compat.later_schema_fields(
                search_aliases=[
                    "foley",
                    "sfx",
                    "sound effects",
                    "video to audio",
                    "text to audio",
                    "image to audio",
                    "generate sound",
                    "add sound to video",
                    "soundtrack",
                ],
                has_intermediate_output=True,
            ),
        )

    @classmethod
    def validate_inputs(cls, input_types: Mapping[str, Any], duration: float | None = None) -> bool:
        """Refuse what cannot work before anything runs; a linked ``duration`` is None here.

        Naming ``duration`` turns off ComfyUI's own check of its bounds.

        Raises:
            MediaError: raised, not returned, which would show it once for each argument.
        """
        problem = (
            wiring.wrong_type(cls, input_types)
            or wiring.two_pictures(input_types)
            or wiring.mask_without_picture(input_types)
            or wiring.out_of_bounds(cls, "duration", duration)
        )
        if problem is None and duration == 0 and not wiring.has_picture(input_types):
            problem = (
                "got a duration of 0 (to the end of the video) without a video or images. Set "
                "duration to the seconds of sound you want, or connect a video."
            )
        if problem is not None:
            raise MediaError(problem)
        return True

    @classmethod
    def execute(
        cls,
        mmaudio: ComfyModels,
        prompt: str,
        negative_prompt: str,
        duration: float,
        start_offset: float,
        mask_away_clip: bool,
        video: Input.Video | None = None,
        images: Tensor | None = None,
        frame_rate: float = FRAME_RATE,
        negative_preset: str = NONE,
        mask: Tensor | None = None,
        video_info: Any = None,
    ) -> io.NodeOutput:
        rate = frame_rate if images is None else images_rate(frame_rate, video_info)
        clip = to_clip(video, images, rate, mask)
        time_range = TimeRange(
            duration=exact_seconds(duration),
            start=exact_seconds(start_offset),
            mask_away_clip=mask_away_clip,
        )
        progress = NodeProgress({CLIP_STAGE: 8, SYNC_STAGE: 8, TEXT_STAGE: 1})
        visual = extract_visual(mmaudio, clip, time_range, progress)
        negative = with_preset(negative_prompt, negative_preset)
        text = encode_prompts(mmaudio, prompt, negative, progress)
        features = Features.join(visual.features, text)
        return with_notices(*to_outputs(mmaudio, features), notices=visual.notices)
