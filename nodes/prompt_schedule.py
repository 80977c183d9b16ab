"""MMAudioPromptSchedule: other prompts at other times."""

from __future__ import annotations

from comfy_api.latest import io

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.features.encoders import TEXT_STAGE
from ..mmaudio_core.features.prompt_schedule import EXAMPLE
from ..mmaudio_core.features.text import schedule_prompts
from ..mmaudio_core.features.types import Features
from .conditioning import conditioning
from .feedback import NodeProgress
from .model_manager import ComfyModels
from .types import CATEGORY, MMAudio, MMAudioFeatures


class MMAudioPromptSchedule(io.ComfyNode):
    """Features whose prompt, and negative prompt, change over time."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioPromptSchedule",
            display_name="MMAudio Prompt Schedule",
            category=CATEGORY,
            description=(
                "Other prompts at other times, one fading into the next. Where it names none, the "
                "features keep theirs."
            ),
            inputs=[
                MMAudio.Input("mmaudio"),
                MMAudioFeatures.Input("features", tooltip="Of MMAudio Feature Extract."),
                io.String.Input(
                    "schedule",
                    default="",
                    multiline=True,
                    placeholder=EXAMPLE,
                    tooltip=(
                        "start-end: prompt, in seconds or m:ss, apart by vertical bars or on lines "
                        "of their own; words after --no are that time's negative prompt."
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
                        "Seconds over which one prompt fades into the next; prompts that overlap "
                        "by more fade as long as they overlap."
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
        seconds = exact_seconds(crossfade)
        scheduled = schedule_prompts(mmaudio, features, schedule, seconds, progress)
        return io.NodeOutput(scheduled, *conditioning(scheduled))
