"""What a MODEL refuses before it samples, because the result would be wrong without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import CONST
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ..mmaudio_core.errors import MMAudioError
from .cures import with_cures

_KEY = "mmaudio_checks"
_TOLERANCE = 0.01  # of the statistics; they are stored in half precision


def add_sampling_checks(model: ModelPatcher) -> None:
    """Make every sampler check a MODEL of this pack, and what was patched onto it, first."""
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, _KEY, _check)


@with_cures
def _check(sample: Callable[..., Tensor], noise: Tensor, *args: Any, **keywords: Any) -> Tensor:
    guider: Any = sample.class_obj  # pyright: ignore[reportFunctionMemberAccess]
    _check_model_sampling(guider.model_patcher)
    _check_context_windows(guider.model_options, noise)
    _check_second_model(guider.model_patcher, getattr(guider, "uncond_model_patcher", None))
    return sample(noise, *args, **keywords)


def _check_model_sampling(model: ModelPatcher) -> None:
    if not isinstance(model.get_model_object("model_sampling"), CONST):
        raise MMAudioError(
            "got a model whose sampling is not that of a rectified flow, expected one for flow "
            "models. Remove the model sampling node, or use ModelSamplingSD3 or ModelSamplingFlux."
        )


def _check_context_windows(model_options: dict[str, Any], noise: Tensor) -> None:
    handler = model_options.get("context_handler")
    if handler is None:
        return
    if handler.dim < noise.ndim and noise.shape[handler.dim] <= handler.context_length:
        return  # a single window: ComfyUI does not split either
    raise MMAudioError(
        "got a model with ComfyUI's Context Windows, which cannot split an MMAudio model's picture "
        "and sync features. Remove that node: sound longer than 10 s is split into windows anyway, "
        "and MMAudio Long Form sets them."
    )


def _check_second_model(first: ModelPatcher, second: ModelPatcher | None) -> None:
    """The two models of DualModelGuider predict from one latent, in the first one's scale."""
    if second is None:
        return
    formats = [patcher.model.latent_format for patcher in (first, second)]
    if type(formats[0]) is not type(formats[1]):
        raise MMAudioError(
            "got a second model that is not an MMAudio model. Connect two models of Load MMAudio "
            "Model with the same sample rate."
        )
    (mean, std), (other_mean, other_std) = (f.statistics for f in formats)
    same = mean.shape == other_mean.shape and all(
        torch.allclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE)
        for a, b in ((mean, other_mean), (std, other_std))
    )
    if not same:
        raise MMAudioError(
            f"got two models whose latents are normalized differently ({first.model.name} and "
            f"{second.model.name}), so they cannot guide one another. Connect two models with the "
            "same latent statistics, such as a model and its own LoRA."
        )
