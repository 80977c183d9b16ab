"""MMAudioGuider: guidance with separate strengths for prompt and video."""

from __future__ import annotations

from typing import Any

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from . import inputs
from .comfy_model import flow_network
from .conditioning import Conditioning, without_picture
from .cures import Node
from .types import CATEGORY

_NEGATIVE, _TEXT, _ALL = "negative", "text", "positive"


class TextVideoGuider(comfy.samplers.CFGGuider):
    """``v = v0 + text * (v_text - v0) + video * (v_all - v_text)``, in one batch of three.

    v0 is the negative branch, v_text the prompt alone, v_all prompt and picture. The network was
    trained with picture and prompt dropped independently, so it knows all three. Written as
    ordinary guidance towards one combined prediction, so that patches of the guidance (CFG-Zero*,
    APG, ...) apply; with equal strengths it is ordinary guidance, in a batch of two.
    """

    def __init__(self, model: ModelPatcher, *, text: float, video: float) -> None:
        super().__init__(model)
        self.text, self.video = text, video
        self.set_cfg(max(text, video))

    def set_conds(self, positive: Conditioning, negative: Conditioning) -> None:
        self.inner_set_conds(
            {_NEGATIVE: negative, _TEXT: without_picture(positive), _ALL: positive}
        )

    def predict_noise(
        self,
        x: Tensor,
        timestep: Tensor,
        model_options: dict[str, Any] = {},  # noqa: B006  (as in the method it overrides)
        seed: int | None = None,
    ) -> Tensor:
        options = {**model_options, "sampler_calc_cond_batch_function": self._predict_branches}
        negative, positive = self.conds[_NEGATIVE], self.conds[_ALL]
        return comfy.samplers.sampling_function(
            self.inner_model, x, timestep, negative, positive, self.cfg, options, seed
        )

    def _predict_branches(self, args: dict[str, Any]) -> list[Tensor]:
        """The predictions that ordinary guidance, with strength ``cfg``, moves to and from."""

        def predict(conds: list[Any]) -> list[Tensor]:
            return comfy.samplers.calc_cond_batch(
                args["model"], conds, args["input"], args["sigma"], args["model_options"]
            )

        if self.text == self.video:
            return predict(args["conds"])
        v0, v_text, v_all = predict([self.conds[name] for name in (_NEGATIVE, _TEXT, _ALL)])
        combined = self.text * (v_text - v0) + self.video * (v_all - v_text)
        return [v0 + combined / self.cfg, v0]


class MMAudioGuider(Node):
    """A guider for SamplerCustomAdvanced."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioGuider",
            display_name="MMAudio Guider",
            category=CATEGORY,
            description=(
                "Follows prompt and video with separate strengths, for SamplerCustomAdvanced. "
                "Equal strengths are ordinary cfg; different ones take half as long again."
            ),
            inputs=[
                inputs.patchable_model(),
                io.Conditioning.Input("positive", tooltip="From MMAudio Feature Extract."),
                io.Conditioning.Input("negative", tooltip="From MMAudio Feature Extract."),
                _strength(
                    "text_strength",
                    "How closely to follow the prompt, away from the negative prompt.",
                ),
                _strength(
                    "video_strength", "How closely to follow the picture. 0: it is not used."
                ),
            ],
            outputs=[io.Guider.Output(display_name="guider")],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        positive: Conditioning,
        negative: Conditioning,
        text_strength: float,
        video_strength: float,
    ) -> io.NodeOutput:
        flow_network(model)
        guider = TextVideoGuider(model, text=text_strength, video=video_strength)
        guider.set_conds(positive, negative)
        return io.NodeOutput(guider)


def _strength(name: str, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=4.5, min=0.0, max=20.0, step=0.1, tooltip=tooltip)
