"""The loss that the published networks were trained with, and its value on given pieces.

Flow matching (Lipman et al., arXiv 2210.02747) on a straight path: with data ``x1``, noise ``x0``
and ``x_t = (1 - t) x0 + t x1``, the loss is the mean square of ``v(x_t, t) - (x1 - x0)``, all times
alike. Times are drawn as ``t = sigmoid(n)`` with ``n`` standard normal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..config import sequence_lengths
from ..models.flow import FlowNetwork
from ..progress import Progress, no_progress, tick_on_forward
from ..providers import LoadedModel, check_finite
from ..sampling.guidance import GuidanceBranch, predict_velocity
from ..sampling.noise import get_noise
from ..sampling.sample import project_features
from ..scoring.agreement import training_quantile
from .pieces import Piece

LOSS_STAGE = "loss"
Velocity = Callable[[Tensor, Tensor], Tensor]
"""Velocity of ``x`` (B, N, C) at times ``t`` (B,)."""


def flow_loss(velocity: Velocity, x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    """The loss of each item: (B,), float32.

    Args:
        velocity: the network's.
        x1: normalized latents (B, N, C).
        x0: noise of the same shape.
        t: times (B,) in (0, 1); 0 is noise.
    """
    at = t[:, None, None]
    x_t = (1 - at) * x0 + at * x1
    return (velocity(x_t, t).float() - (x1 - x0)).square().mean(dim=(1, 2))


@dataclass(frozen=True, kw_only=True)
class LossDraws:
    """At which noise and times the loss of a piece is measured, the same for every network.

    Attributes:
        count: of noise and time for each piece; times are the means of that many equal parts of
            the training's distribution.
        seed: of the noise, and of the latents that are drawn from the posterior.
    """

    count: int = 4
    seed: int = 0

    @property
    def times(self) -> tuple[float, ...]:
        return tuple(training_quantile((k + 0.5) / self.count) for k in range(self.count))


def measure_loss(
    loaded: LoadedModel,
    pieces: Sequence[Piece],
    draws: LossDraws,
    progress: Progress = no_progress,
) -> list[float]:
    """The loss of each piece with its picture and its caption.

    Args:
        loaded: the flow network.
        pieces: what it is measured on.
        draws: noise and times.
        progress: called before every block.

    Raises:
        NumericsError: the network produced NaN or infinity.
    """
    flow = loaded.network
    assert isinstance(flow, FlowNetwork)
    params, times = flow.params, draws.times
    losses: list[float] = []
    done = 0

    def tick() -> None:
        progress(LOSS_STAGE, done, len(pieces) * draws.count)

    with torch.no_grad(), tick_on_forward(flow, tick):
        for index, piece in enumerate(pieces):
            lengths = sequence_lengths(piece.features.duration, params.audio)
            given, _ = project_features(loaded, piece.features, lengths)
            velocity = partial(_velocity, loaded, given)
            generator = torch.Generator().manual_seed(draws.seed + index)
            z = piece.latents.sample(generator).to(loaded.device)
            x1 = flow.normalize(z)
            seeds = [draws.seed + index * draws.count + k for k in range(draws.count)]
            noise = get_noise(seeds, lengths.latent, params.latent_dim).to(loaded.device)
            total = 0.0
            for k, time in enumerate(times):
                t = torch.tensor([time], device=loaded.device)
                total += float(flow_loss(velocity, x1, noise[k : k + 1], t))
                done += 1
            losses.append(total / draws.count)
    tick()
    return losses


def _velocity(loaded: LoadedModel, branch: GuidanceBranch, x: Tensor, t: Tensor) -> Tensor:
    flow = loaded.network
    assert isinstance(flow, FlowNetwork)
    network = partial(FlowNetwork.forward, flow)  # a host's subclass may have another forward
    v = predict_velocity(network, x.to(loaded.dtype), t, [branch], None)
    return check_finite(v, "flow network", loaded)
