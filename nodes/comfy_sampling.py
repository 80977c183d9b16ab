"""Sampling through ComfyUI: schedules, one noise tensor per take, progress."""

from __future__ import annotations

from collections.abc import Sequence

import comfy.model_management as mm
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
from .guider import TextVideoGuider
from .latents import Latent, read_latent

LINEAR = "linear"  # the schedule of MMAudio's authors: equal steps, however many
SEED_RANGE = 2**64
_MAX_STEPS = 100_000


def schedulers() -> list[str]:
    """Names of the schedules: that of MMAudio's authors, then ComfyUI's."""
    return [LINEAR, *comfy.samplers.KSampler.SCHEDULERS]


def sigmas(
    model: ModelPatcher, sampler_name: str, scheduler: str, steps: int, denoise: float
) -> Tensor:
    """The noise levels of a run: (steps + 1,), the last one 0; empty where ``denoise`` is 0.

    A ``denoise`` below 1 takes the last steps of a longer schedule, as KSampler does.

    Raises:
        MMAudioError: that schedule is too long to be made.
    """
    if denoise > 0 and steps / denoise > _MAX_STEPS:
        raise MMAudioError(
            f"denoise: got {denoise:g} for {steps} steps, expected 0 or at least "
            f"{steps / _MAX_STEPS:g}. Raise denoise, or lower steps."
        )
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
    video_cfg: float | None = None,
) -> Tensor:
    """Sample one take per seed.

    Each take draws its noise from its own generator, so that it equals a run of its seed alone.

    Args:
        latent: the start: one take, or one per seed.
        cfg: guidance strength; none at 1 or less.
        denoise: how much of ``latent`` to generate anew, 0 to 1.
        video_cfg: strength of the picture, if it is not that of the prompt, ``cfg``.

    Returns:
        (takes, 1, N, C) on the VAE's scale.

    Raises:
        MMAudioError: ``latent`` has another shape.
        NumericsError: the network returned NaN or infinity.
    """
    start = read_latent(latent).samples.expand(len(seeds), -1, -1, -1)
    noise_levels = sigmas(model, sampler_name, scheduler, steps, denoise)
    if len(noise_levels) < 2:
        return start
    noise = get_noise([s % SEED_RANGE for s in seeds], *start.shape[2:])[:, None]

    def report(step: int, _denoised: Tensor, _x: Tensor, total: int) -> None:
        progress(SAMPLING_STAGE, step + 1, total)

    guider = _guider(model, positive, negative, max(cfg, 1.0), video_cfg)
    samples = guider.sample(
        noise,
        start,
        comfy.samplers.sampler_object(sampler_name),
        noise_levels,
        denoise_mask=latent.get("noise_mask"),
        callback=report,
        disable_pbar=True,
        seed=seeds[0] % SEED_RANGE,
    )
    samples = samples.to(device=mm.intermediate_device(), dtype=torch.float32)
    return check_samples(model, samples)


def _guider(
    model: ModelPatcher,
    positive: Conditioning,
    negative: Conditioning,
    cfg: float,  # ComfyUI skips guidance at exactly 1, the authors below 1 too
    video_cfg: float | None,
) -> comfy.samplers.CFGGuider:
    if video_cfg is None:
        guider = comfy.samplers.CFGGuider(model)
        guider.set_cfg(cfg)
    else:
        guider = TextVideoGuider(model, text=cfg, video=video_cfg)
    guider.set_conds(positive, negative)
    return guider


def check_samples(model: ModelPatcher, samples: Tensor) -> Tensor:
    """Return what the network of ``model`` made if it is finite; else raise NumericsError."""
    base = model.model
    flow = LoadedModel(
        network=base.diffusion_model,
        device=model.load_device,
        dtype=base.get_dtype(),
        name=base.name,
    )
    return check_finite(samples, "flow network", flow)
