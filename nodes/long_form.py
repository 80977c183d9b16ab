"""MMAudioLongForm: how sound longer than the trained 8 s is split into windows."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..mmaudio_core.config import exact_seconds
from ..mmaudio_core.sampling.windows import JoinMode, WindowParams
from .comfy_model import flow_network
from .cures import Node
from .types import CATEGORY

_DEFAULT = WindowParams()


class MMAudioLongForm(Node):
    """Sets window, overlap and join on a clone of the model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioLongForm",
            display_name="MMAudio Long Form",
            category=CATEGORY,
            description=(
                "Up to 10 s (a window and a quarter) is generated in one pass; longer sound in "
                "overlapping windows. This node sets their length, overlap and join; without it "
                "the defaults apply."
            ),
            inputs=[
                io.Model.Input("model", tooltip="From Load MMAudio Model or MMAudio LoRA Loader."),
                io.Float.Input(
                    "window",
                    default=float(_DEFAULT.window),
                    min=2.0,
                    max=60.0,
                    step=0.01,
                    tooltip="Length of a window in seconds. The model was trained on 8 s.",
                ),
                io.Float.Input(
                    "overlap",
                    default=float(_DEFAULT.overlap),
                    min=0.04,
                    max=30.0,
                    step=0.01,
                    tooltip="Seconds that adjacent windows share; at most half the window.",
                ),
                io.Combo.Input(
                    "join",
                    options=[join.value for join in JoinMode],
                    default=_DEFAULT.join.value,
                    tooltip=(
                        "How windows are joined where they overlap: blend crossfades, average "
                        "takes the mean, swap alternates their latents."
                    ),
                ),
            ],
            outputs=[io.Model.Output(display_name="model")],
        )

    @classmethod
    def execute(
        cls, model: ModelPatcher, window: float, overlap: float, join: str
    ) -> io.NodeOutput:
        flow_network(model)
        params = WindowParams(
            window=exact_seconds(window), overlap=exact_seconds(overlap), join=JoinMode(join)
        )
        patched = model.clone()
        patched.add_object_patch("windows", params)
        return io.NodeOutput(patched)
