"""The flow network as a model of ComfyUI's own, for its samplers, guiders and patches.

A rectified flow is what ComfyUI calls FLOW: sigma runs from 1 (noise) to 0, the network's time is
``1 - sigma`` and what ComfyUI wants is the velocity towards noise, the negative of the network's.
Latents are (B, 1, N, C): one channel of N times C, so that KSampler draws its noise in the
published order and nodes that expect four dimensions work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management as mm
import comfy.supported_models_base
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ..mmaudio_core.config import TEXT_TOKENS
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.models.flow import FlowNetwork, FlowParams
from ..mmaudio_core.sampling.guidance import predict_velocity, project_conditions
from ..mmaudio_core.sampling.memory import MAX_BATCHED_WINDOWS, activation_bytes
from ..mmaudio_core.sampling.windows import WindowParams, WindowPlan, plan_windows
from .conditioning import (
    CLIP,
    SYNC,
    TIMELINE,
    CondProjected,
    Projected,
    Timeline,
    check_prompts,
    checked_lengths,
)

_PROJECTED = "projected"


class ComfyFlowNetwork(FlowNetwork):
    """The network with the ``forward`` that ComfyUI's models have."""

    def __init__(self, params: FlowParams, **keywords: Any) -> None:
        super().__init__(params, **keywords)
        self.dtype: torch.dtype = keywords["dtype"]
        for step in self.steps():  # an interrupt is seen within one block, whoever samples
            step.register_forward_pre_hook(_check_interrupt)

    def forward(self, x: Tensor, t: Tensor, **conditions: Any) -> Tensor:
        """ComfyUI's velocity (B, 1, N, C) of ``x`` at the network's time ``t`` (B,)."""
        projected: Projected = conditions[_PROJECTED]
        plan = projected.plan
        max_batch = 1 if plan is None else self._max_batch(plan, x.device)
        v = predict_velocity(
            super().forward, x[:, 0], t[:1], projected.branches, plan, max_batch=max_batch
        )
        return -v[:, None]

    def _max_batch(self, plan: WindowPlan, device: torch.device) -> int:
        """Windows to run in one batch: as many as there is room for."""
        inside = plan.lengths
        tokens = inside.latent + inside.clip + TEXT_TOKENS
        each = activation_bytes(self.params, 1, tokens, self.dtype)
        return max(1, min(MAX_BATCHED_WINDOWS, int(mm.get_free_memory(device) / each)))


def _check_interrupt(_module: nn.Module, _inputs: Any) -> None:
    mm.throw_exception_if_processing_interrupted()


class MMAudioLatentFormat(comfy.latent_formats.LatentFormat):
    """Outside a sampler latents are the VAE's; inside, normalised by the network's statistics."""

    latent_channels = 1
    latent_dimensions = 2

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        """``mean`` and ``std``: (1, 1, C)."""
        self._mean, self._std = mean.float().cpu(), std.float().cpu()

    def process_in(self, latent: Tensor) -> Tensor:
        return (latent - self._mean.to(latent.device)) / self._std.to(latent.device)

    def process_out(self, latent: Tensor) -> Tensor:
        return latent * self._std.to(latent.device) + self._mean.to(latent.device)


class MMAudioBaseModel(comfy.model_base.BaseModel):
    """What a MODEL of this pack holds; ``diffusion_model`` has the published keys."""

    diffusion_model: ComfyFlowNetwork

    def __init__(self, network: ComfyFlowNetwork, name: str) -> None:
        """``name``: of the file the weights came from, for messages."""
        config = _Config({"disable_unet_model_creation": True})
        config.latent_format = MMAudioLatentFormat(network.latent_mean, network.latent_std)
        config.set_inference_dtype(network.dtype, None)
        super().__init__(config, comfy.model_base.ModelType.FLOW)
        self.diffusion_model = network
        self.name = name
        self.windows = WindowParams()  # replaced by MMAudioLongForm
        self.eval()

    def process_timestep(self, timestep: Tensor, **_: Any) -> Tensor:
        # nodes such as ModelSamplingSD3 set a multiplier of 1000
        return 1 - timestep / self.model_sampling.multiplier

    def extra_conds(self, **inputs: Any) -> dict[str, comfy.conds.CONDRegular]:
        """Project a CONDITIONING's features once for all steps."""
        network = self.diffusion_model
        lengths = checked_lengths(inputs.get(TIMELINE), inputs["noise"], network.params)
        device, dtype = inputs["device"], self.get_dtype()

        def place(x: Tensor) -> Tensor:
            return x.to(device=device, dtype=dtype)

        timeline: Timeline = inputs[TIMELINE]
        plan = plan_windows(
            lengths,
            timeline.duration,
            network.params.audio,
            self.windows,
            timeline.cuts,
            timeline.fades,
        )
        text, clip, sync = inputs["cross_attn"], inputs.get(CLIP), inputs.get(SYNC)
        check_prompts(text, timeline)
        clip, sync = (None if x is None else place(x) for x in (clip, sync))
        made = project_conditions(network, plan, clip, sync, place(text), lengths)
        projected = Projected(plan=plan, branches=(made,))
        return {_PROJECTED: CondProjected(projected)}

    def memory_required(self, input_shape: Sequence[int], cond_shapes: Any = None) -> float:
        """Bytes of activations."""
        params = self.diffusion_model.params
        latents = math.prod(input_shape[1:]) / params.latent_dim
        one = min(latents, 512) * 1.25 + TEXT_TOKENS  # and CLIP frames; longer ones in windows
        rows = max(input_shape[0], MAX_BATCHED_WINDOWS if latents > 512 else 0)
        return activation_bytes(params, rows, one, self.get_dtype())


class _Config(comfy.supported_models_base.BASE):
    unet_extra_config: ClassVar[dict[str, Any]] = {}
    sampling_settings: ClassVar[dict[str, float]] = {"shift": 1.0, "multiplier": 1.0}
    latent_format = staticmethod(lambda: None)  # made by the model, from its weights


def flow_of(model: ModelPatcher) -> ComfyFlowNetwork:
    """The flow network of a MODEL.

    Raises:
        MMAudioError: a MODEL of another kind.
    """
    if not isinstance(model.model, MMAudioBaseModel):
        raise MMAudioError(
            f"a MODEL of another kind was got ({type(model.model).__name__}): connect the model "
            "output of Load MMAudio Model"
        )
    return model.model.diffusion_model
