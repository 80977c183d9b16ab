"""Sampling through ComfyUI: schedules, noise a take, progress."""

from __future__ import annotations

from collections.abc import Sequence

import comfy.sample
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.progress import Progress
from ..mmaudio_core.providers import LoadedModel, check_finite
from ..mmaudio_core.sampling.euler import SAMPLING_STAGE
from ..mmaudio_core.sampling.noise import get_noise
from .conditioning import Conditioning
from .latents import Latent, checked

LINEAR = "linear"  # the authors' schedule: equal steps, whatever their number
SEED_RANGE = 2**64


def schedulers() -> list[str]:
    """Names of the schedules: the authors', then ComfyUI's."""
    return [LINEAR, *comfy.samplers.KSampler.SCHEDULERS]


def sigmas(
    model: ModelPatcher, sampler_name: str, scheduler: str, steps: int, denoise: float
) -> Tensor:
    """The noise levels of a run: ``steps + 1`` of them, 0 last.

    A ``denoise`` below 1 takes the last steps of a longer schedule, as KSampler does.
    """
    if scheduler != LINEAR:
        device = model.load_device
        return comfy.samplers.KSampler(
            model, steps, device, sampler_name, scheduler, denoise
        ).sigmas
    if denoise <= 0:
        return torch.empty(0)
    return torch.linspace(1, 0, max(steps, int(steps / denoise)) + 1)[-(steps + 1) :]


def sample(
    model: ModelPatcher,
    positive: Conditioning,
    negative: Conditioning,
    latent: Latent,
    seeds: Sequence[int],
    *,
    steps: int,
    cfg: float,
    denoise: float,
    sampler_name: str,
    scheduler: str,
    progress: Progress,
) -> Tensor:
    """Sample one take a seed: (takes, 1, N, C) on the VAE's scale.

    Take k draws its noise from a generator of its own, so that it equals a run of its seed alone.
    """
    _check_choice("sampler_name", sampler_name, comfy.samplers.KSampler.SAMPLERS)
    _check_choice("scheduler", scheduler, schedulers())
    start = _repeat(checked(latent)[0], len(seeds))
    levels = sigmas(model, sampler_name, scheduler, steps, denoise)
    if len(levels) < 2:
        return start
    noise = get_noise([s % SEED_RANGE for s in seeds], *start.shape[2:])[:, None]

    def report(step: int, _denoised: Tensor, _x: Tensor, total: int) -> None:
        progress(SAMPLING_STAGE, step + 1, total)

    samples = comfy.sample.sample_custom(
        model,
        noise,
        max(cfg, 1.0),  # the authors guide from 1 on; ComfyUI takes 1 for none
        comfy.samplers.sampler_object(sampler_name),
        levels,
        positive,
        negative,
        start,
        noise_mask=latent.get("noise_mask"),
        callback=report,
        disable_pbar=True,
        seed=seeds[0] % SEED_RANGE,
    )
    base = model.model
    flow = LoadedModel(
        network=base.diffusion_model,
        device=model.load_device,
        dtype=base.get_dtype(),
        name=base.name,
    )
    return check_finite(samples, "flow network", flow)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """ComfyUI 0.3 lets any value of a combo through."""
    if value not in choices:
        raise MMAudioError(
            f"{name} {value} was got, which this ComfyUI does not have: choose one of "
            f"{', '.join(choices)}"
        )


def _repeat(samples: Tensor, takes: int) -> Tensor:
    if len(samples) not in (1, takes):
        raise MMAudioError(
            f"a latent of {len(samples)} takes was got for num_samples {takes}: set num_samples to "
            f"{len(samples)}, or connect a latent of one take"
        )
    return samples.expand(takes, -1, -1, -1)
