"""The network's own opinion of takes: against a flow whose every velocity is known."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.config import sequence_lengths
from mmaudio_core.features.types import Features
from mmaudio_core.models.flow import FlowNetwork
from mmaudio_core.sampling.sample import sample
from mmaudio_core.scoring.agreement import (
    AGREEMENT_STAGE,
    TAKES_AT_ONCE,
    TIMES,
    measure_agreement,
    score_agreement,
    velocities_of,
)
from tests.core.small import CancelAt, Cancelled, MemoryNetworks, counted
from tests.golden_files import relative_error

SHAPE = 250, 20  # 8 s at 16 kHz


@dataclass
class GaussianFlow:
    """Data is N(mean, spread^2) with its conditions, and N(0, spread^2) without.

    The velocity is the expectation of ``x1 - e``, given ``x_t``.
    """

    mean: Tensor
    spread: float
    rows: list[tuple[int, float, bool]]

    def __call__(self, x: Tensor, t: float, conditioned: bool, /) -> Tensor:
        self.rows.append((len(x), t, conditioned))
        mean = self.mean if conditioned else torch.zeros_like(self.mean)
        variance = (1 - t) ** 2 + (t * self.spread) ** 2
        return mean + (t * self.spread**2 - (1 - t)) / variance * (x - t * mean)

    def log_likelihood_ratio(self, x1: Tensor) -> Tensor:
        far, near = x1.square().sum((1, 2)), (x1 - self.mean).square().sum((1, 2))
        return (far - near) / (2 * self.spread**2)

    def expected(self, x1: Tensor) -> Tensor:
        """The agreement's expectation over noise, apart from that of its quotient."""

        def error(distance: Tensor) -> Tensor:
            total = torch.zeros(len(x1))
            for t in TIMES:
                variance = (1 - t) ** 2 + (t * self.spread) ** 2
                noise = (t * self.spread**2) ** 2 * self.mean.numel()
                total += (noise + (1 - t) ** 2 * distance) / variance**2
            return total

        near, far = (x1 - self.mean).square().sum((1, 2)), x1.square().sum((1, 2))
        return 1 - error(near) / error(far)


def gaussian(spread: float, strength: float = 0.3) -> tuple[GaussianFlow, Tensor]:
    """A flow, and takes that show more and more of its conditions, shuffled."""
    draw = torch.Generator().manual_seed(1)
    mean = strength * torch.randn(*SHAPE, generator=draw)
    noise = spread * torch.randn(12, *SHAPE, generator=draw)
    shares = torch.linspace(-0.5, 1.5, 12)[torch.randperm(12, generator=draw)]
    return GaussianFlow(mean, spread, []), shares[:, None, None] * mean + noise


@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_takes_are_ordered_as_by_the_likelihood_ratio(spread: float) -> None:
    flow, takes = gaussian(spread)
    got = torch.tensor(measure_agreement(takes, flow))
    ratio = flow.log_likelihood_ratio(takes)
    assert got.argsort().tolist() == ratio.argsort().tolist()
    assert ((got > 0) == (ratio > 0)).all()
    assert got.max() > 0.02 > -0.02 > got.min()


@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_the_value_is_the_expectation(spread: float) -> None:
    flow, takes = gaussian(spread)
    got = torch.tensor(measure_agreement(takes, flow))
    assert torch.allclose(got, flow.expected(takes).to(got), atol=0.01)


def test_each_take_costs_eight_velocities_in_batches() -> None:
    flow, takes = gaussian(1.0)
    many = measure_agreement(takes, flow)
    assert [rows for rows, _, _ in flow.rows] == [TAKES_AT_ONCE] * 8 + [4] * 8
    assert velocities_of(len(takes)) == len(flow.rows)
    assert {(t, c) for _, t, c in flow.rows} == {(t, c) for t in TIMES for c in (True, False)}
    alone = [measure_agreement(take[None], flow)[0] for take in takes]
    assert alone == pytest.approx(many, abs=1e-6)


def test_times_are_those_of_the_training() -> None:
    """Logit-normal: of a large sample, an eighth lies below the first, three below the second."""
    times = torch.randn(100_000, generator=torch.Generator().manual_seed(0)).sigmoid()
    below = [(times < t).float().mean().item() for t in TIMES]
    assert below == pytest.approx([0.125, 0.375, 0.625, 0.875], abs=0.01)


def features(networks: MemoryNetworks, seconds: Fraction) -> Features:
    draw, params = torch.Generator().manual_seed(0), networks.params
    lengths = sequence_lengths(seconds, params.audio)
    return Features(
        duration=seconds,
        clip=torch.randn(1, lengths.clip, params.clip_dim, generator=draw),
        sync=torch.randn(1, lengths.sync, params.sync_dim, generator=draw),
        text=torch.randn(1, 77, params.text_dim, generator=draw),
        negative=torch.randn(1, 77, params.text_dim, generator=draw),
    )


def test_the_network_measures_itself() -> None:
    """The formula, with the network's velocities written out."""
    networks = MemoryNetworks()
    of = features(networks, Fraction(2))
    latents = sample(networks, of, [3, 4], steps=2)
    flow = networks.acquire(PartKind.FLOW, 0).network
    assert isinstance(flow, FlowNetwork)
    lengths = sequence_lengths(of.duration, networks.params.audio)
    assert of.clip is not None and of.sync is not None
    with torch.no_grad():
        given = flow.conditions(of.clip, of.sync, of.text, lengths.latent)
        empty = flow.conditions(
            flow.empty_clip(1, lengths.clip),
            flow.empty_sync(1, lengths.sync),
            flow.empty_text(1),
            lengths.latent,
        )
        x1 = (latents - flow.latent_mean) / flow.latent_std
        e = torch.randn(*x1.shape[1:], generator=torch.Generator().manual_seed(0))
        errors = {True: torch.zeros(2), False: torch.zeros(2)}
        for t in TIMES:
            noise = e if t < 0.5 else -e
            for known, conditions in ((True, given), (False, empty)):
                v = flow(
                    (1 - t) * noise + t * x1,
                    torch.tensor([t]),
                    conditions,
                    torch.zeros(2, dtype=torch.long),
                )
                errors[known] += (v - (x1 - noise)).square().sum((1, 2))
    expected = 1 - errors[True] / errors[False]
    got = score_agreement(networks, of, latents)
    assert relative_error(torch.tensor(got), expected) < 1e-4
    assert abs(got[0] - got[1]) > 1e-5


def test_long_sound_is_measured_in_windows_and_can_be_cancelled() -> None:
    networks = MemoryNetworks()
    of = features(networks, Fraction(12))
    latents = torch.randn(1, 375, 20, generator=torch.Generator().manual_seed(5))
    flow = networks.acquire(PartKind.FLOW, 0).network
    seen: list[int] = []
    with counted(flow) as ran:
        (got,) = score_agreement(
            networks, of, latents, progress=lambda _, done, total: seen.append(done)
        )
    blocks = len(flow.interruptible_modules())  # pyright: ignore
    assert len(ran) == 8 * blocks  # both windows in one pass
    assert sorted(set(seen)) == list(range(9))
    assert torch.isfinite(torch.tensor(got))
    with counted(flow) as ran, pytest.raises(Cancelled):
        score_agreement(networks, of, latents, progress=CancelAt(AGREEMENT_STAGE, 2))
    assert len(ran) == 1
