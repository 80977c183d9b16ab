"""MMAudioScheduler: the schedule of MMAudio's authors."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from . import inputs
from .comfy_model import flow_network
from .comfy_sampling import LINEAR, sigmas
from .cures import Node
from .types import CATEGORY


class MMAudioScheduler(Node):
    """Sigmas for SamplerCustom and SamplerCustomAdvanced."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioScheduler",
            display_name="MMAudio Scheduler",
            category=CATEGORY,
            description="The schedule of MMAudio's authors: equal steps, whatever their number.",
            inputs=[inputs.patchable_model(), inputs.steps(), inputs.denoise()],
            outputs=[io.Sigmas.Output(display_name="sigmas")],
        )

    @classmethod
    def execute(cls, model: ModelPatcher, steps: int, denoise: float) -> io.NodeOutput:
        flow_network(model)
        return io.NodeOutput(sigmas(model, "euler", LINEAR, steps, denoise))
