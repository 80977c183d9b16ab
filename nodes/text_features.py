"""MMAudioTextFeatures: encodes the prompts with CLIP."""

from __future__ import annotations

from comfy_api.latest import io

from ..mmaudio_core.features.encoders import TEXT_STAGE
from ..mmaudio_core.features.text import encode_prompts
from .cures import Node
from .feedback import NodeProgress
from .inputs import mmaudio
from .model_manager import ComfyModels
from .types import PARTS, MMAudioText


class MMAudioTextFeatures(Node):
    """The text part of MMAudioFeatureExtract."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioTextFeatures",
            display_name="MMAudio Text Features",
            category=PARTS,
            is_deprecated=True,
            description="The part of MMAudio Feature Extract that encodes the prompts.",
            inputs=[
                mmaudio(),
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
                    tooltip="Sounds you do not want. Makes them rarer, no more.",
                ),
            ],
            outputs=[MMAudioText.Output(display_name="text")],
        )

    @classmethod
    def execute(cls, mmaudio: ComfyModels, prompt: str, negative_prompt: str) -> io.NodeOutput:
        progress = NodeProgress({TEXT_STAGE: 1})
        return io.NodeOutput(encode_prompts(mmaudio, prompt, negative_prompt, progress))
