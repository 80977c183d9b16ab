"""The flow network's own opinion of a take: how much picture and prompt explain of its sound.

A flow network is a classifier, too (Li et al., "Your Diffusion Model is Secretly a Zero-Shot
Classifier", arXiv 2303.16203): it predicts a sound from its noisy version better if it is given
the conditions that the sound was made under. With ``x1`` the take, ``e`` noise and
``x_t = (1 - t) e + t x1``, the velocity to predict is ``x1 - e``, and

    agreement = 1 - sum_t |v(x_t, t, conditions) - (x1 - e)|^2 / sum_t |v(x_t, t) - (x1 - e)|^2

where the second velocity is that of the network with the learned empty picture and text. The times
are the medians of four equal parts of the distribution that the network was trained with, so that
each sum estimates its training loss. One noise serves all takes and both velocities, so that it
decides nothing between takes; its sign is opposite at early and late times, so that what is odd in
it nearly cancels.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Protocol

import torch
from torch import Tensor

from ..checkpoint import PartKind
from ..config import sequence_lengths
from ..features.shots import detect_shot_changes
from ..features.types import Features
from ..models.flow import FlowNetwork
from ..progress import Progress, no_progress, tick_on_forward
from ..providers import ModelProvider, check_finite
from ..sampling.guidance import predict_velocity, project_conditions
from ..sampling.memory import MAX_BATCHED_WINDOWS, activation_bytes
from ..sampling.noise import get_noise
from ..sampling.sample import project_features
from ..sampling.windows import WindowParams, plan_windows

AGREEMENT_STAGE = "agreement"
TAKES_AT_ONCE = 8
_NOISE_SEED = 0
_WINDOWS = WindowParams()


def training_quantile(share: float) -> float:
    """Time below which ``share`` of the training's times lie: their logits are standard normal."""
    return 1 / (1 + math.exp(-NormalDist().inv_cdf(share)))


TIMES = tuple(training_quantile(share) for share in (1 / 8, 3 / 8, 5 / 8, 7 / 8))
"""Flow times at which the error is measured: 0.24, 0.42, 0.58, 0.76. Noise is 1 minus these."""


class TakesVelocity(Protocol):
    """Velocity towards data of normalized latents ``x`` (takes, N, C) at flow time ``t``.

    ``conditioned``: with picture and prompt, else with the learned empty ones.
    """

    def __call__(self, x: Tensor, t: float, conditioned: bool, /) -> Tensor: ...


def velocities_of(takes: int) -> int:
    """How many velocities ``measure_agreement`` asks for."""
    return math.ceil(takes / TAKES_AT_ONCE) * len(TIMES) * 2


def measure_agreement(latents: Tensor, velocity: TakesVelocity) -> list[float]:
    """The agreement of each take, at most 1; it does not depend on the other takes.

    Args:
        latents: normalized, (takes, N, C).
        velocity: of the network; gets at most ``TAKES_AT_ONCE`` takes.
    """
    noise = get_noise([_NOISE_SEED], *latents.shape[1:]).to(latents.device)
    values: list[float] = []
    for first in range(0, len(latents), TAKES_AT_ONCE):
        x1 = latents[first : first + TAKES_AT_ONCE]
        given = empty = torch.zeros(len(x1), dtype=torch.float64)
        for t in TIMES:
            e = noise if t < 0.5 else -noise
            x = (1 - t) * e + t * x1
            given = given + _squared_error(velocity(x, t, True), x1 - e)
            empty = empty + _squared_error(velocity(x, t, False), x1 - e)
        values += [float(value) for value in 1 - given / empty]
    return values


def _squared_error(got: Tensor, expected: Tensor) -> Tensor:
    """Summed over each take: (takes,), float64 on the CPU."""
    return (got.float() - expected).double().square().sum((1, 2)).cpu()


def score_agreement(
    networks: ModelProvider,
    features: Features,
    latents: Tensor,
    *,
    windows: WindowParams = _WINDOWS,
    progress: Progress = no_progress,
) -> list[float]:
    """The agreement of takes with the features that they were sampled with.

    Args:
        networks: provides the flow network.
        features: the conditions.
        latents: (takes, N, latent_dim) on the VAE's scale, as ``sample`` returns them, or as
            ``encode`` makes them of any sound.
        windows: how long durations are split.
        progress: called before every block.

    Returns:
        As ``measure_agreement``.

    Raises:
        MMAudioError: the features are of another width than the network's.
        NumericsError: the network produced NaN or infinity.
    """
    fmt = networks.params.audio
    lengths = sequence_lengths(features.duration, fmt)
    cuts = detect_shot_changes(features.clip)
    plan = plan_windows(lengths, features.duration, fmt, windows, cuts, features.crossfades)
    # without a prompt there is nothing to fade
    empty_plan = plan_windows(lengths, features.duration, fmt, windows, cuts)
    rows, row = min(len(latents), TAKES_AT_ONCE), lengths
    if plan is not None:
        rows, row = max(rows, MAX_BATCHED_WINDOWS), plan.lengths
    tokens = row.latent + row.clip + features.text.shape[1]
    room = activation_bytes(networks.params, rows, tokens, networks.compute_dtype(PartKind.FLOW))
    loaded = networks.acquire(PartKind.FLOW, room)
    flow = loaded.network
    assert isinstance(flow, FlowNetwork)
    done, total = 0, velocities_of(len(latents))
    with torch.no_grad():
        given, _ = project_features(loaded, features, lengths, plan)
        text = flow.empty_text(1).to(loaded.dtype)
        empty = project_conditions(flow, empty_plan, None, None, text, lengths)

        def velocity(x: Tensor, t: float, conditioned: bool) -> Tensor:
            nonlocal done
            branch, own_plan = (given, plan) if conditioned else (empty, empty_plan)
            time = torch.tensor([t], device=x.device)
            v = predict_velocity(flow, x.to(loaded.dtype), time, [branch], own_plan)
            done += 1
            return check_finite(v, "flow network", loaded)

        with tick_on_forward(flow, lambda: progress(AGREEMENT_STAGE, done, total)):
            values = measure_agreement(flow.normalize(latents.to(loaded.device)), velocity)
    progress(AGREEMENT_STAGE, total, total)
    return values
