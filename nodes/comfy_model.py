"""The flow network as one of ComfyUI's own models, for its samplers, guiders and patches.

ComfyUI calls a rectified flow FLOW: sigma runs from 1 (noise) to 0, and a model predicts the
velocity towards noise. MMAudio's time is ``1 - sigma``, and its velocity points towards data.
Latents are (B, 1, N, C): one channel of N x C, so that KSampler draws its noise in the published
order and nodes that expect four dimensions work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management as mm
import comfy.supported_models_base
import torch
from comfy import patcher_extension
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn

from ..mmaudio_core.config import TEXT_TOKENS
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.models.flow import FlowNetwork, FlowParams
from ..mmaudio_core.sampling.guidance import predict_velocity, project_conditions
from ..mmaudio_core.sampling.memory import MAX_BATCHED_WINDOWS, activation_bytes
from ..mmaudio_core.sampling.windows import WindowParams, WindowPlan, plan_windows
from .block_hooks import TransformerOptionsHooks
from .conditioning import (
    CLIP,
    SYNC,
    TIMELINE,
    CondProjected,
    ProjectedConditions,
    check_latent_shape,
    check_timeline,
)
from .cures import with_cures

_PROJECTED = "projected"  # keyword of ``ComfyFlowNetwork.forward``


class ComfyFlowNetwork(FlowNetwork):
    """The flow network with the ``forward`` of ComfyUI's models."""

    def __init__(self, params: FlowParams, **keywords: Any) -> None:
        super().__init__(params, **keywords)
        self.dtype: torch.dtype = keywords["dtype"]
        for module in self.interruptible_modules():  # so every sampler sees an interrupt in time
            module.register_forward_pre_hook(_check_interrupt)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        transformer_options: dict[str, Any] | None = None,
        **conditions: Any,
    ) -> Tensor:
        """Velocity towards noise (B, 1, N, C) of latents ``x`` at the network's time ``t`` (B,).

        Wrappers of ComfyUI (EasyCache and others) go around it.
        """
        options = {} if transformer_options is None else transformer_options
        wrappers = patcher_extension.get_all_wrappers(WrappersMP.DIFFUSION_MODEL, options)
        if wrappers:  # EasyCache writes into ``x``, which in float32 is the sampler's own tensor
            x = x.clone()
        executor = patcher_extension.WrapperExecutor.new_class_executor(
            self._predict, self, wrappers
        )
        return executor.execute(x, t, options, **conditions)

    def _predict(
        self, x: Tensor, t: Tensor, transformer_options: dict[str, Any], **conditions: Any
    ) -> Tensor:
        projected: ProjectedConditions = conditions[_PROJECTED]
        plan = projected.plan
        max_batch = 1 if plan is None else self._max_batch(plan, x.device)
        network = partial(super().forward, hooks=TransformerOptionsHooks(transformer_options))
        # a sampler has one time for all rows, a trainer draws one for each
        times = t if torch.is_grad_enabled() else t[:1]
        v = predict_velocity(network, x[:, 0], times, projected.branches, plan, max_batch=max_batch)
        return -v[:, None]

    def _max_batch(self, plan: WindowPlan, device: torch.device) -> int:
        """How many windows fit into free memory at once."""
        inside = plan.lengths
        tokens = inside.latent + inside.clip + TEXT_TOKENS
        each = activation_bytes(self.params, 1, tokens, self.dtype)
        return max(1, min(MAX_BATCHED_WINDOWS, int(mm.get_free_memory(device) / each)))


def _check_interrupt(_module: nn.Module, _inputs: Any) -> None:
    if torch.compiler.is_compiling():  # it would cut the compiled graph at every block
        return
    mm.throw_exception_if_processing_interrupted()


class MMAudioLatentFormat(comfy.latent_formats.LatentFormat):
    """Between the VAE's latents and the sampler's, normalized by the network's statistics."""

    latent_channels = 1
    latent_dimensions = 2

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        """``mean`` and ``std`` have shape (1, 1, C)."""
        self._mean, self._std = mean.float().cpu(), std.float().cpu()

    @property
    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation."""
        return self._mean, self._std

    def process_in(self, latent: Tensor) -> Tensor:
        return (latent - self._mean.to(latent.device)) / self._std.to(latent.device)

    def process_out(self, latent: Tensor) -> Tensor:
        return latent * self._std.to(latent.device) + self._mean.to(latent.device)


class MMAudioBaseModel(comfy.model_base.BaseModel):
    """The model inside a MODEL of this pack; ``diffusion_model`` has the published keys."""

    diffusion_model: ComfyFlowNetwork

    def __init__(self, network: ComfyFlowNetwork, name: str) -> None:
        """``name`` is that of the weights file, for messages."""
        config = _Config({"disable_unet_model_creation": True})
        config.latent_format = MMAudioLatentFormat(network.latent_mean, network.latent_std)
        config.set_inference_dtype(network.dtype, None)
        super().__init__(config, comfy.model_base.ModelType.FLOW)
        self.diffusion_model = network
        self.name = name
        self.windows = WindowParams()  # MMAudioLongForm patches it

    def process_timestep(self, timestep: Tensor, **_: Any) -> Tensor:
        # ModelSamplingSD3 and its kin set a multiplier of 1000, ModelSamplingFlux has none
        return 1 - timestep / getattr(self.model_sampling, "multiplier", 1.0)

    @with_cures
    def extra_conds(self, **inputs: Any) -> dict[str, comfy.conds.CONDRegular]:
        """Project the features of a CONDITIONING, once for all steps."""
        network = self.diffusion_model
        text, clip, sync = inputs.get("cross_attn"), inputs.get(CLIP), inputs.get(SYNC)
        text = network.empty_text(1) if text is None else text
        timeline = check_timeline(inputs.get(TIMELINE), text)
        lengths = check_latent_shape(inputs["noise"], timeline.duration, network.params)
        plan = plan_windows(
            lengths,
            timeline.duration,
            network.params.audio,
            self.windows,
            timeline.cuts,
            timeline.fades,
        )
        place = {"device": inputs["device"], "dtype": self.get_dtype()}
        clip, sync = (None if x is None else x.to(**place) for x in (clip, sync))
        # in training, every step goes backward through the same conditions
        with self._as_trained(place["device"]), torch.no_grad():
            branch = project_conditions(network, plan, clip, sync, text.to(**place), lengths)
        return {_PROJECTED: CondProjected(ProjectedConditions(plan=plan, branches=(branch,)))}

    def _as_trained(self, device: torch.device | str) -> torch.autocast:
        """The precision of a trainer's steps; nothing outside of training.

        What it adds to a layer (``bypass_mode``) may be of another dtype than the layer.
        """
        dtype = self.manual_cast_dtype or self.get_dtype()
        half = dtype in (torch.bfloat16, torch.float16)
        return torch.autocast(
            torch.device(device).type,
            dtype if half else torch.bfloat16,
            enabled=half and torch.is_grad_enabled(),
        )

    def memory_required(self, input_shape: Sequence[int], cond_shapes: Any = None) -> float:
        """Bytes of activations for latents of ``input_shape``."""
        params = self.diffusion_model.params
        latents = math.prod(input_shape[1:]) / params.latent_dim
        # a quarter more for CLIP frames; more than 512 latents run in windows
        tokens = min(latents, 512) * 1.25 + TEXT_TOKENS
        rows = max(input_shape[0], MAX_BATCHED_WINDOWS if latents > 512 else 0)
        return activation_bytes(params, rows, tokens, self.get_dtype())


class _Config(comfy.supported_models_base.BASE):
    unet_extra_config: ClassVar[dict[str, Any]] = {}
    sampling_settings: ClassVar[dict[str, float]] = {"shift": 1.0, "multiplier": 1.0}
    latent_format = staticmethod(lambda: None)  # the model makes it from its weights


def flow_network(model: ModelPatcher) -> ComfyFlowNetwork:
    """The flow network inside a MODEL.

    Raises:
        MMAudioError: a MODEL of another kind.
    """
    if not isinstance(model.model, MMAudioBaseModel):
        raise MMAudioError(
            f"got another kind of model ({type(model.model).__name__}). Connect the model output "
            "of Load MMAudio Model."
        )
    return model.model.diffusion_model
