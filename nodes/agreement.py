"""The flow network's own opinion of takes, through ComfyUI: see ``scoring.agreement``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..mmaudio_core.features.types import Features
from ..mmaudio_core.progress import Progress
from ..mmaudio_core.scoring.agreement import (
    AGREEMENT_STAGE,
    measure_agreement,
    velocities_of,
)
from .comfy_sampling import check_samples
from .conditioning import Conditioning, to_conditioning, unconditioned

_ONLY = "positive"  # ComfyUI's name of the one branch


class _OneVelocity(comfy.samplers.Sampler):
    """A sampler that asks the network once, and returns the data that it predicts.

    As a sampler it gets what all of them get: patches, LoRA, hooks, paged weights. Patches of the
    guidance do not apply, as there is none.
    """

    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, guider: Any, sigmas: Tensor, extra_args: dict[str, Any], _callback: Any, x: Tensor, *_
    ) -> Tensor:
        sigma = sigmas[:1].expand(len(x))
        conds, options = [guider.conds[_ONLY]], extra_args["model_options"]
        return comfy.samplers.calc_cond_batch(guider.inner_model, conds, x, sigma, options)[0]


def agreement_judge(
    model: ModelPatcher, features: Features, progress: Progress
) -> Callable[[Tensor], list[float]]:
    """A function that measures the agreement of latents (takes, N, C) on the VAE's scale.

    Args:
        model: patched or not.
        features: the conditions.
        progress: called before each velocity; inside, the network notices an interrupt.
    """
    latent_format = model.model.latent_format
    given, empty = to_conditioning(features)[0], unconditioned(features)

    def judge(latents: Tensor) -> list[float]:
        done, total = 0, velocities_of(len(latents))

        def velocity(x: Tensor, t: float, conditioned: bool) -> Tensor:
            nonlocal done
            progress(AGREEMENT_STAGE, done, total)
            made = _predict_data(model, given if conditioned else empty, x[:, None], 1 - t)
            done += 1
            return (latent_format.process_in(made)[:, 0] - x) / (1 - t)

        values = measure_agreement(latent_format.process_in(latents.float().cpu()), velocity)
        progress(AGREEMENT_STAGE, total, total)
        return values

    return judge


def _predict_data(model: ModelPatcher, branch: Conditioning, x: Tensor, sigma: float) -> Tensor:
    """Latents on the VAE's scale that the network expects behind noisy, normalized ones.

    A run for each noise level: patches that skip steps (EasyCache) begin anew with each run.
    """
    guider = comfy.samplers.CFGGuider(model)
    guider.inner_set_conds({_ONLY: branch})
    sigmas = torch.tensor([sigma, 0.0])
    made = guider.sample(x, torch.zeros_like(x), _OneVelocity(), sigmas, disable_pbar=True, seed=0)
    return check_samples(model, made.cpu())
