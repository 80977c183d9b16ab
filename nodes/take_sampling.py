"""Sampling many takes: in batches that fit into memory, each take as a run of its seed alone."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import comfy.k_diffusion.sampling
import comfy.model_management as mm
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..mmaudio_core.codec.decode import decode
from ..mmaudio_core.config import sequence_lengths
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.progress import Progress
from .comfy_sampling import SEED_RANGE, sample
from .conditioning import to_conditioning
from .latents import Latent, empty_latent, make_latent, read_latent
from .model_manager import ComfyModels

_MOST_AT_ONCE = 16
_SPARE = 1.5  # ComfyUI's samplers want as much more than the estimate of memory


@dataclass(frozen=True, kw_only=True)
class Takes:
    """Finished takes.

    Attributes:
        places: number of each among those that were sampled first, counted from 0.
        seeds: of each, 0 to 2**64 - 1; 0 follows the highest.
        latents: (takes, 1, N, C) on the VAE's scale.
        waveforms: (takes, 1, T).
    """

    places: tuple[int, ...]
    seeds: tuple[int, ...]
    latents: Tensor
    waveforms: Tensor

    def select(self, order: Sequence[int]) -> Takes:
        """Some of the takes, in that order."""
        chosen = list(order)
        return Takes(
            places=tuple(self.places[take] for take in chosen),
            seeds=tuple(self.seeds[take] for take in chosen),
            latents=self.latents[chosen],
            waveforms=self.waveforms[chosen],
        )

    def replace(self, numbers: Mapping[int, int], others: Takes) -> Takes:
        """These takes, some of which become takes of ``others``: index here -> index there."""
        offset = len(self.seeds)
        both = Takes(
            places=self.places + others.places,
            seeds=self.seeds + others.seeds,
            latents=torch.cat((self.latents, others.latents)),
            waveforms=torch.cat((self.waveforms, others.waveforms)),
        )
        chosen = [offset + numbers[i] if i in numbers else i for i in range(offset)]
        return both.select(chosen)


@dataclass(frozen=True, kw_only=True)
class TakeSampler:
    """A job of MMAudio Sampler, which samples any of its takes.

    Attributes:
        networks: those that decode.
        model: the flow network, patched or not.
        start: the latent to start from, of one take or of all; None for noise alone.
        count: how many takes there are at first, as the input ``counted_by`` says.
        alone: each take is as in a run of its seed alone, also with samplers that draw their noise
            for the whole batch, which then sample one take at a time.

    The others are inputs of the node.
    """

    networks: ComfyModels
    model: ModelPatcher
    features: Features
    start: Latent | None
    count: int
    counted_by: str
    steps: int
    cfg: float
    denoise: float
    sampler_name: str
    scheduler: str
    alone: bool
    progress: Progress

    def sample(self, seeds: Sequence[int], places: Sequence[int] | None = None) -> Takes:
        """Sample and decode takes.

        Args:
            seeds: one per take.
            places: which take of ``start`` each begins with; by default the first, the second, ...

        Raises:
            MMAudioError: ``start`` has another shape or number of takes.
            NumericsError: a network produced NaN or infinity.
        """
        places = range(len(seeds)) if places is None else places
        fmt = self.networks.params.audio
        start = self.start or empty_latent(self.features.duration, fmt)
        self._check_takes(read_latent(start).samples)
        return self._sample(seeds, places, start, self.cfg, None, self.denoise)

    def remake(
        self, takes: Takes, seeds: Sequence[int], masks: Tensor, text: float, video: float
    ) -> Takes:
        """Sample parts of takes anew.

        Args:
            takes: what is kept outside the masks.
            seeds: one per take.
            masks: (takes, N), 1 where to sample anew.
            text, video: guidance strengths of prompt and picture.
        """
        start = make_latent(takes.latents, self.features.duration, noise_mask=masks[:, :, None])
        made = self._sample(seeds, range(len(takes.seeds)), start, text, video, 1.0)
        return replace(made, places=takes.places)

    def editable(self, place: int) -> Tensor:
        """Where a take is sampled at all: (N,), 0 where ``start`` is kept."""
        fmt = self.networks.params.audio
        length = sequence_lengths(self.features.duration, fmt).latent
        mask = None if self.start is None else _of_takes(self.start, [place]).get("noise_mask")
        if mask is None:
            return torch.ones(length)
        return comfy.utils.reshape_mask(mask, (1, 1, length, fmt.latent_dim))[0, 0].amax(dim=1)

    def _sample(
        self,
        seeds: Sequence[int],
        places: Sequence[int],
        start: Latent,
        cfg: float,
        video_cfg: float | None,
        denoise: float,
    ) -> Takes:
        conditioning = to_conditioning(self.features)
        size = self._batch_size(start["samples"], len(seeds))
        batches = range(0, len(seeds), size)
        latents: list[Tensor] = []
        for number, first in enumerate(batches):
            chosen = range(first, min(first + size, len(seeds)))
            latents.append(
                sample(
                    self.model,
                    *conditioning,
                    _of_takes(start, [places[take] for take in chosen]),
                    [seeds[take] for take in chosen],
                    steps=self.steps,
                    cfg=cfg,
                    denoise=denoise,
                    sampler_name=self.sampler_name,
                    scheduler=self.scheduler,
                    progress=_part(self.progress, number, len(batches)),
                    video_cfg=video_cfg,
                )
            )
        made = torch.cat(latents)
        return Takes(
            places=tuple(places),
            seeds=tuple(seed % SEED_RANGE for seed in seeds),
            latents=made,
            waveforms=decode(self.networks, made[:, 0], self.features.duration, self.progress),
        )

    def _check_takes(self, samples: Tensor) -> None:
        if len(samples) not in (1, self.count):
            raise MMAudioError(
                f"got a latent of {len(samples)} takes for {self.counted_by} {self.count}. Set "
                f"{self.counted_by} to {len(samples)}, or connect a latent of one take."
            )

    def _batch_size(self, samples: Tensor, takes: int) -> int:
        if _draws_noise(self.sampler_name):  # what it draws depends on the batch
            return 1 if self.alone else takes
        return takes_that_fit(self.model, samples.shape[1:], min(takes, _MOST_AT_ONCE))


def takes_that_fit(model: ModelPatcher, shape: Sequence[int], most: int) -> int:
    """How many takes, at least one, a run of the sampler has memory for.

    Args:
        model: the flow network.
        shape: of one latent, (1, N, C).
        most: how many to ask for.
    """
    device = model.load_device
    room = mm.get_free_memory(device)
    if device.type not in ("cpu", "mps"):  # there, weights lie in the same memory wherever they are
        loaded = [one for one in mm.current_loaded_models if one.device == device]
        room += sum(one.model_loaded_memory() for one in loaded) - model.model_size()

    def fits(takes: int) -> bool:
        rows = 2 * takes  # both branches of guidance
        return _SPARE * model.model.memory_required([rows, *shape]) <= room

    return next((takes for takes in range(most, 1, -1) if fits(takes)), 1)


def _draws_noise(sampler_name: str) -> bool:
    """Whether a sampler draws noise in its steps, or sizes them by all takes together."""
    function = getattr(comfy.k_diffusion.sampling, f"sample_{sampler_name}", None)
    return function is not None and "noise_sampler" in inspect.signature(function).parameters


def _of_takes(latent: Latent, places: Sequence[int]) -> Latent:
    """The latent for some of the takes; what it has once serves all of them."""
    chosen = dict(latent)
    for key in ("samples", "noise_mask"):
        tensor = latent.get(key)
        if tensor is not None and len(tensor) > 1:
            chosen[key] = tensor[[place % len(tensor) for place in places]]
    return chosen


def _part(progress: Progress, number: int, count: int) -> Progress:
    """Progress of one of several equal parts."""

    def report(stage: str, done: int, total: int, /) -> None:
        progress(stage, number * total + done, count * total)

    return report
