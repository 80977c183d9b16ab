"""MMAudioJoinFeatures: visual and text features as sampler inputs."""

from __future__ import annotations

from comfy_api.latest import io

from ..mmaudio_core.features.types import Features, TextFeatures, VisualFeatures
from .cures import Node
from .features import to_outputs
from .inputs import mmaudio
from .model_manager import ComfyModels
from .types import PARTS, MMAudioFeatures, MMAudioText, MMAudioVisual


class MMAudioJoinFeatures(Node):
    """Joins both parts for MMAudioSampler and for ComfyUI's own samplers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioJoinFeatures",
            display_name="MMAudio Join Features",
            category=PARTS,
            is_deprecated=True,
            description="The part of MMAudio Feature Extract that joins picture and prompts.",
            inputs=[
                mmaudio(),
                MMAudioVisual.Input("visual", tooltip="From MMAudio Visual Features."),
                MMAudioText.Input("text", tooltip="From MMAudio Text Features."),
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
        return io.NodeOutput(*to_outputs(mmaudio, Features.join(visual, text)))
