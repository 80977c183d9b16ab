"""MMAudioTrainingObjective: ComfyUI's trainer draws times and weighs errors as MMAudio's did."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import CONST, ModelSamplingDiscreteFlow, reshape_sigma
from comfy_api.latest import io
from torch import Tensor

from .comfy_model import flow_network
from .cures import Node
from .types import TRAINING

_SMALLEST_SIGMA = 1e-3  # 1 in 10**11 of the sigmas drawn is smaller


class PublishedObjective(ModelSamplingDiscreteFlow, CONST):
    """The objective of the published training, for ComfyUI's trainer.

    That trainer draws a sigma as ``percent_to_sigma(u)`` with ``u`` uniform, and its loss is the
    mean square of ``denoised - x1``, which is sigma squared times that of the velocity. Here sigma
    is ``1 - sigmoid(n)`` with ``n`` standard normal, and the gradient is that of the velocity's
    mean square. What is predicted stays the same, so is the loss that the trainer shows.
    """

    def percent_to_sigma(self, percent: float) -> float:
        if percent <= 0:
            return 1.0
        if percent >= 1:
            return 0.0
        normal = torch.tensor(NormalDist().inv_cdf(percent), dtype=torch.float64)
        return 1 - float(torch.sigmoid(normal))

    def calculate_denoised(
        self, sigma: Tensor, model_output: Tensor, model_input: Tensor
    ) -> Tensor:
        denoised = super().calculate_denoised(sigma, model_output, model_input)
        if not denoised.requires_grad:
            return denoised
        weight = reshape_sigma(sigma, denoised.ndim).clamp(min=_SMALLEST_SIGMA) ** -2
        constant = denoised.detach()
        return constant + (denoised - constant) * weight


def row_by_row(args: dict[str, Any]) -> list[Tensor]:
    """What a trainer's batch predicts, each row under its own condition.

    ComfyUI predicts every row under every condition and takes the mean, as for prompts that are
    combined.
    """
    model, x, sigma, options = (args[k] for k in ("model", "input", "sigma", "model_options"))
    positive, _ = args["conds"]
    if not torch.is_grad_enabled() or len(positive) != len(x):
        return comfy.samplers.calc_cond_batch(model, args["conds"], x, sigma, options)
    rows = [
        comfy.samplers.calc_cond_batch(model, [[cond]], x[i : i + 1], sigma[i : i + 1], options)[0]
        for i, cond in enumerate(positive)
    ]
    predicted = torch.cat(rows)
    return [predicted, torch.zeros_like(predicted)]


class MMAudioTrainingObjective(Node):
    """Patch a MODEL for Train LoRA."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioTrainingObjective",
            display_name="MMAudio Training Objective",
            category=TRAINING,
            description=(
                "Between the model and ComfyUI's Train LoRA: times are drawn, errors weighed and "
                "batches made as in MMAudio's own training. For training only."
            ),
            inputs=[io.Model.Input("model", tooltip="From Load MMAudio Model.")],
            outputs=[io.Model.Output(display_name="model", tooltip="For Train LoRA.")],
        )

    @classmethod
    def execute(cls, model: ModelPatcher) -> io.NodeOutput:
        flow_network(model)
        patched = model.clone()
        patched.add_object_patch("model_sampling", PublishedObjective(model.model.model_config))
        patched.set_model_sampler_calc_cond_batch_function(row_by_row)
        return io.NodeOutput(patched)
