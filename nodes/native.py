"""The flow network as a model of ComfyUI's own, for its samplers, guiders and patches.

A rectified flow is what ComfyUI calls FLOW: sigma runs from 1 (noise) to 0, the network's time is
``1 - sigma`` and what ComfyUI wants is the velocity towards noise, the negative of the network's.
Latents are (B, 1, N, C): one channel of N times C, so that KSampler draws its noise in the
published order and nodes that expect four dimensions work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management as mm
import comfy.supported_models_base
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.features import Features
from ..mmaudio_core.models.flow import Conditions, FlowNetwork, FlowParams, spread_rows
from ..mmaudio_core.scenes import scene_cuts
from ..mmaudio_core.sequence import SequenceLengths, sequence_lengths
from ..mmaudio_core.windows import Plan, WindowParams, plan_windows, project, window_velocity

# Entries of a CONDITIONING's dict.
_CLIP, _SYNC, _TIMELINE = "mmaudio_clip", "mmaudio_sync", "mmaudio_timeline"
_CONDITIONS = ("clip", "sync", "text", "common")  # of core Conditions, as model conds
_PLAN = "plan"
_TOGETHER = 8  # windows, of all takes and branches, in one batch

Conditioning = list[list[Any]]  # ComfyUI's CONDITIONING


class NativeFlow(FlowNetwork):
    """The network with the ``forward`` that ComfyUI's models have."""

    def __init__(self, params: FlowParams, **keywords: Any) -> None:
        super().__init__(params, **keywords)
        self.dtype: torch.dtype = keywords["dtype"]
        for step in self.steps():  # an interrupt is seen within one block, whoever samples
            step.register_forward_pre_hook(_check_interrupt)

    def forward(self, x: Tensor, t: Tensor, **conditions: Any) -> Tensor:
        """ComfyUI's velocity (B, 1, N, C) of ``x`` at the network's time ``t`` (B,)."""
        plan: Plan | None = conditions.get(_PLAN)
        parts = {name: conditions[name] for name in _CONDITIONS}
        length = x.shape[2] if plan is None else plan.lengths.latent
        spread = spread_rows(parts["sync"].shape[-2], length, x.device)
        made = Conditions(**parts, spread=spread)
        if plan is None:
            return -super().forward(x[:, 0], t, made)[:, None]
        return -window_velocity(super().forward, x[:, 0], t, made, plan, together=_TOGETHER)[
            :, None
        ]


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


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A job's time: both branches of guidance carry it.

    Attributes:
        duration: seconds.
        cuts: seconds at which the picture changes.
    """

    duration: Fraction
    cuts: tuple[float, ...] = ()


class MMAudioBaseModel(comfy.model_base.BaseModel):
    """What a MODEL of this pack holds; ``diffusion_model`` has the published keys."""

    diffusion_model: NativeFlow

    def __init__(self, network: NativeFlow, name: str) -> None:
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
        lengths = _checked_lengths(inputs.get(_TIMELINE), inputs["noise"], network.params)
        device, dtype = inputs["device"], self.get_dtype()

        def place(x: Tensor) -> Tensor:
            return x.to(device=device, dtype=dtype)

        timeline: Timeline = inputs[_TIMELINE]
        plan = plan_windows(
            lengths, timeline.duration, network.params.audio, self.windows, timeline.cuts
        )
        text, clip, sync = inputs["cross_attn"], inputs.get(_CLIP), inputs.get(_SYNC)
        _check_widths(network.params, text, clip, sync)
        clip = network.empty_clip(1, lengths.clip) if clip is None else clip
        sync = network.empty_sync(1, lengths.sync) if sync is None else sync
        if clip.shape[1] == 1:  # a still picture
            clip = clip.expand(-1, lengths.clip, -1)
        made = project(network, plan, place(clip), place(sync), place(text), lengths.latent)
        conds = {name: comfy.conds.CONDRegular(getattr(made, name)) for name in _CONDITIONS}
        return conds if plan is None else {**conds, _PLAN: comfy.conds.CONDConstant(plan)}

    def memory_required(self, input_shape: Sequence[int], cond_shapes: Any = None) -> float:
        """Bytes of activations: about 40 live tensors of (B, tokens, width)."""
        params = self.diffusion_model.params
        latents = math.prod(input_shape[1:]) / params.latent_dim
        one = min(latents, 512) * 1.25 + 77  # latents, CLIP frames, text; longer ones in windows
        tokens = max(input_shape[0], _TOGETHER if latents > 512 else 0) * one
        return tokens * params.width * 40 * mm.dtype_size(self.get_dtype())


class _Config(comfy.supported_models_base.BASE):
    unet_extra_config: ClassVar[dict[str, Any]] = {}
    sampling_settings: ClassVar[dict[str, float]] = {"shift": 1.0, "multiplier": 1.0}
    latent_format = staticmethod(lambda: None)  # made by the model, from its weights


def conditioning(features: Features, params: FlowParams) -> tuple[Conditioning, Conditioning]:
    """The two branches of guidance as ComfyUI's CONDITIONING.

    The negative one has the negative prompt's text and neither picture nor sync.
    """
    timeline = Timeline(duration=features.duration, cuts=scene_cuts(features.clip))
    positive = {_CLIP: features.clip, _SYNC: features.sync, _TIMELINE: timeline}
    return [[features.text, positive]], [[features.negative, {_TIMELINE: timeline}]]


def text_only(positive: Conditioning) -> Conditioning:
    """The same branch without picture and sync: the prompt alone."""
    return [
        [text, {key: value for key, value in rest.items() if key not in (_CLIP, _SYNC)}]
        for text, rest in positive
    ]


def flow_of(model: ModelPatcher) -> NativeFlow:
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


def _checked_lengths(
    timeline: Timeline | None, noise: Tensor, params: FlowParams
) -> SequenceLengths:
    if timeline is None:
        raise MMAudioError(
            "a conditioning of another kind was got (CLIPTextEncode?): connect positive and "
            "negative of MMAudio Feature Extract"
        )
    lengths = sequence_lengths(timeline.duration, params.audio)
    length, width = lengths.latent, params.latent_dim
    if tuple(noise.shape[1:]) != (1, length, width):
        raise MMAudioError(
            f"a latent of shape {tuple(noise.shape)} was got, (takes, 1, {length}, {width}) was "
            "expected for these features: connect the latent of the same MMAudio Feature Extract, "
            "or of MMAudio Encode with as much sound"
        )
    return lengths


def _check_widths(
    params: FlowParams, text: Tensor, clip: Tensor | None, sync: Tensor | None
) -> None:
    for what, tensor, width in (
        ("text", text, params.text_dim),
        ("CLIP", clip, params.clip_dim),
        ("sync", sync, params.sync_dim),
    ):
        if tensor is not None and tensor.shape[-1] != width:
            raise MMAudioError(
                f"{what} features of width {tensor.shape[-1]} were got, this model takes {width}: "
                "extract the features with the same model that samples"
            )
