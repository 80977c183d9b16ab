"""MMAudioGuider: prompt and picture followed each as closely as wanted; MMAudioScheduler."""

from __future__ import annotations

from typing import Any

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from . import comfy_sampling as sampling
from .comfy_model import flow_of
from .conditioning import Conditioning, text_only
from .types import CATEGORY

_NEGATIVE, _TEXT, _ALL = "negative", "text", "positive"


class TextVideoGuider(comfy.samplers.CFGGuider):
    """``v = v0 + text * (v_text - v0) + video * (v_all - v_text)``, in one batch of three.

    v0 is the negative branch, v_text the prompt alone, v_all prompt, picture and sync. The network
    was trained with picture and prompt dropped independently, so it knows all three. Written as
    ordinary guidance towards one combined prediction, so that what patches guidance (CFG-Zero*,
    APG, ...) works; with equal strengths it is ordinary guidance, in a batch of two.
    """

    def __init__(self, model: ModelPatcher, *, text: float, video: float) -> None:
        super().__init__(model)
        self.text, self.video = text, video
        self.set_cfg(max(text, video))

    def set_conds(self, positive: Conditioning, negative: Conditioning) -> None:
        self.inner_set_conds({_NEGATIVE: negative, _TEXT: text_only(positive), _ALL: positive})

    def predict_noise(
        self,
        x: Tensor,
        timestep: Tensor,
        model_options: dict[str, Any] = {},  # noqa: B006  (as the method it overrides)
        seed: int | None = None,
    ) -> Tensor:
        options = {**model_options, "sampler_calc_cond_batch_function": self._branches}
        negative, positive = self.conds[_NEGATIVE], self.conds[_ALL]
        return comfy.samplers.sampling_function(
            self.inner_model, x, timestep, negative, positive, self.cfg, options, seed
        )

    def _branches(self, call: dict[str, Any]) -> list[Tensor]:
        """What to guide towards, and from."""
        others = call["model"], call["input"], call["sigma"], call["model_options"]
        if self.text == self.video:
            return _batch(call["conds"], *others)
        conds = [self.conds[name] for name in (_NEGATIVE, _TEXT, _ALL)]
        v0, v_text, v_all = _batch(conds, *others)
        # the largest strength is the guider's: the others are a part of it
        towards = v0 + (self.text * (v_text - v0) + self.video * (v_all - v_text)) / self.cfg
        return [towards, v0]


def _batch(conds: list[Any], model: Any, x: Tensor, sigma: Tensor, options: Any) -> list[Tensor]:
    return comfy.samplers.calc_cond_batch(model, conds, x, sigma, options)


class MMAudioGuider(io.ComfyNode):
    """Guidance for SamplerCustomAdvanced with two strengths."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        strength = {"default": 4.5, "min": 0.0, "max": 20.0, "step": 0.1}
        return io.Schema(
            node_id="MMAudioGuider",
            display_name="MMAudio Guider",
            category=CATEGORY,
            description=(
                "Follows prompt and video each with a strength of its own, for "
                "SamplerCustomAdvanced. Equal strengths are the usual cfg; others take half as "
                "long again."
            ),
            inputs=[
                io.Model.Input("model"),
                io.Conditioning.Input("positive", tooltip="Of MMAudio Feature Extract."),
                io.Conditioning.Input("negative", tooltip="Of MMAudio Feature Extract."),
                io.Float.Input(
                    "text_strength",
                    **strength,
                    tooltip="How closely to follow the prompt, away from the negative prompt.",
                ),
                io.Float.Input(
                    "video_strength",
                    **strength,
                    tooltip="How closely to follow the picture; 0: it is not looked at.",
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
        flow_of(model)
        guider = TextVideoGuider(model, text=text_strength, video=video_strength)
        guider.set_conds(positive, negative)
        return io.NodeOutput(guider)


class MMAudioScheduler(io.ComfyNode):
    """The authors' schedule, for SamplerCustom and SamplerCustomAdvanced."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioScheduler",
            display_name="MMAudio Scheduler",
            category=CATEGORY,
            description="The authors' schedule: equal steps, whatever their number.",
            inputs=[
                io.Model.Input("model"),
                io.Int.Input(
                    "steps", default=25, min=1, max=200, tooltip="More is slower and finer."
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much of the latent to make anew; 1: all of it.",
                ),
            ],
            outputs=[io.Sigmas.Output(display_name="sigmas")],
        )

    @classmethod
    def execute(cls, model: ModelPatcher, steps: int, denoise: float) -> io.NodeOutput:
        flow_of(model)
        return io.NodeOutput(sampling.sigmas(model, "euler", sampling.LINEAR, steps, denoise))
