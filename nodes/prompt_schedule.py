"""MMAudioPromptSchedule: different prompts at different times."""

from __future__ import annotations

from comfy_api.latest import io

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.features.encoders import TEXT_STAGE
from ..mmaudio_core.features.prompt_schedule import EXAMPLE
from ..mmaudio_core.features.text import schedule_prompts
from ..mmaudio_core.features.types import Features
from . import inputs
from .conditioning import to_conditioning
from .cures import Node
from .feedback import NodeProgress
from .model_manager import ComfyModels
from .types import CATEGORY, MMAudioFeatures


class MMAudioPromptSchedule(Node):
    """Replaces the prompts of features by a schedule."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioPromptSchedule",
            display_name="MMAudio Prompt Schedule",
            category=CATEGORY,
            description=(
                "Different prompts at different times, each fading into the next. Where the "
                "schedule names no prompt, that of the features applies."
            ),
            inputs=[
                inputs.mmaudio(),
                MMAudioFeatures.Input("features", tooltip="From MMAudio Feature Extract."),
                io.String.Input(
                    "schedule",
                    default="",
                    multiline=True,
                    placeholder=EXAMPLE,
                    tooltip=(
                        "start-end: prompt, in seconds or m:ss, separated by vertical bars or line "
                        "breaks. Words after --no are the negative prompt of that time."
                    ),
                ),
                io.Float.Input(
                    "crossfade",
                    default=0.5,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    optional=True,
                    tooltip=(
                        "Seconds over which one prompt fades into the next. Prompts that overlap "
                        "for longer fade as long as they overlap."
                    ),
                ),
            ],
            outputs=[
                MMAudioFeatures.Output(display_name="features"),
                io.Conditioning.Output(display_name="positive", tooltip="For KSampler."),
                io.Conditioning.Output(display_name="negative", tooltip="For KSampler."),
            ],
        )

    @classmethod
    def execute(
        cls, mmaudio: ComfyModels, features: Features, schedule: str, crossfade: float = 0.5
    ) -> io.NodeOutput:
        progress = NodeProgress({TEXT_STAGE: 1})
        fade = exact_seconds(crossfade)
        scheduled = schedule_prompts(mmaudio, features, schedule, fade, progress)
        return io.NodeOutput(scheduled, *to_conditioning(scheduled))
