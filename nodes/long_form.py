"""MMAudioLongForm: how sound longer than the trained 8 s is cut into windows."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.sampling.windows import JoinMode, WindowParams
from .comfy_model import flow_of
from .types import CATEGORY

_DEFAULT = WindowParams()


class MMAudioLongForm(io.ComfyNode):
    """Sets window, overlap and join; without it the defaults do."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioLongForm",
            display_name="MMAudio Long Form",
            category=CATEGORY,
            description=(
                "Up to 10 s (a window and a quarter) are made in one pass; what is longer, in "
                "windows that overlap. This node changes how; without it the defaults are used."
            ),
            inputs=[
                io.Model.Input("model", tooltip="From Load MMAudio Model or MMAudio LoRA Loader."),
                io.Float.Input(
                    "window",
                    default=float(_DEFAULT.window),
                    min=2.0,
                    max=60.0,
                    step=0.01,
                    tooltip="Seconds of a window. The model was trained on 8 s.",
                ),
                io.Float.Input(
                    "overlap",
                    default=float(_DEFAULT.overlap),
                    min=0.04,
                    max=30.0,
                    step=0.01,
                    tooltip="Seconds that neighbours share; at most half the window.",
                ),
                io.Combo.Input(
                    "join",
                    options=[join.value for join in JoinMode],
                    default=_DEFAULT.join.value,
                    tooltip=(
                        "What neighbours make of what they share: blend goes from one to the "
                        "other, average takes both, swap every other latent of each."
                    ),
                ),
            ],
            outputs=[io.Model.Output(display_name="model")],
        )

    @classmethod
    def execute(
        cls, model: ModelPatcher, window: float, overlap: float, join: str
    ) -> io.NodeOutput:
        flow_of(model)
        params = WindowParams(
            window=exact_seconds(window), overlap=exact_seconds(overlap), join=JoinMode(join)
        )
        patched = model.clone()
        patched.add_object_patch("windows", params)
        return io.NodeOutput(patched)
