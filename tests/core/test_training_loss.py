"""The loss of the published training, against the paper's formula."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.codec.encode import Posterior
from mmaudio_core.config import sequence_lengths
from mmaudio_core.features.types import Features
from mmaudio_core.models.flow import FlowNetwork
from mmaudio_core.sampling.guidance import predict_velocity
from mmaudio_core.sampling.sample import project_features
from mmaudio_core.training.loss import LossDraws, flow_loss, measure_loss
from mmaudio_core.training.pieces import Piece
from tests.core.networks import noise
from tests.core.small import CancelAt, Cancelled, MemoryNetworks
from tests.golden_files import relative_error

NETWORKS = MemoryNetworks()
LOADED = NETWORKS.acquire(PartKind.FLOW, 0)
SECONDS = Fraction(1)


def flow() -> FlowNetwork:
    assert isinstance(LOADED.network, FlowNetwork)
    return LOADED.network


def piece(seed: int) -> Piece:
    params = NETWORKS.params
    lengths = sequence_lengths(SECONDS, params.audio)
    return Piece(
        recording="x",
        start=Fraction(0),
        caption="",
        spectrogram=torch.zeros(96, 256, dtype=torch.uint8),
        latents=Posterior(
            mean=noise(1, lengths.latent, params.latent_dim, seed=seed),
            std=noise(1, lengths.latent, params.latent_dim, seed=seed + 1).abs() / 10,
        ),
        features=Features(
            duration=SECONDS,
            clip=noise(1, lengths.clip, params.clip_dim, seed=seed + 2),
            sync=noise(1, lengths.sync, params.sync_dim, seed=seed + 3),
            text=noise(1, 77, params.text_dim, seed=seed + 4),
            negative=noise(1, 77, params.text_dim, seed=seed + 5),
        ),
    )


def reference(of: Piece, seed: int, noises: list[int], times: list[float]) -> float:
    """The paper's loss, written out."""
    z = of.latents.sample(torch.Generator().manual_seed(seed))
    x1 = (z - flow().latent_mean) / flow().latent_std
    lengths = sequence_lengths(SECONDS, NETWORKS.params.audio)
    (given,) = project_features(LOADED, of.features, lengths)[0]
    total = 0.0
    for number, t in zip(noises, times, strict=True):
        x0 = torch.randn(x1.shape[1:], generator=torch.Generator().manual_seed(number))[None]
        v = flow()(x0 + t * (x1 - x0), torch.tensor([t]), given)
        total += float(((v - (x1 - x0)) ** 2).mean())
    return total / len(times)


@torch.no_grad()
def test_the_loss_is_that_of_the_paper() -> None:
    pieces = [piece(10), piece(20)]
    got = measure_loss(LOADED, pieces, LossDraws(count=2, seed=5))
    times = [1 / (1 + math.exp(0.6744898)), 1 / (1 + math.exp(-0.6744898))]  # quartiles
    expected = [
        reference(pieces[0], 5, [5, 6], times),
        reference(pieces[1], 6, [7, 8], times),
    ]
    assert got == pytest.approx(expected, rel=1e-5)
    assert got == measure_loss(LOADED, pieces, LossDraws(count=2, seed=5))
    assert got != pytest.approx(measure_loss(LOADED, pieces, LossDraws(count=2, seed=6)), rel=1e-4)


def test_the_right_velocity_has_no_loss() -> None:
    x1, x0 = noise(3, 7, 20, seed=1), noise(3, 7, 20, seed=2)
    t = torch.tensor([0.1, 0.5, 0.9])

    def right(x: Tensor, at: Tensor) -> Tensor:
        assert torch.allclose(x, x0 + at[:, None, None] * (x1 - x0), atol=1e-6)
        return x1 - x0

    assert flow_loss(right, x1, x0, t).tolist() == [0, 0, 0]
    assert flow_loss(lambda x, at: right(x, at) + 2, x1, x0, t).tolist() == pytest.approx([4] * 3)


def test_measuring_can_be_cancelled() -> None:
    with pytest.raises(Cancelled):
        measure_loss(LOADED, [piece(1)], LossDraws(), CancelAt("loss", 9))


@torch.no_grad()
def test_every_row_may_have_a_time_of_its_own() -> None:
    """As a trainer draws them: two conditions with two takes each."""
    lengths = sequence_lengths(SECONDS, NETWORKS.params.audio)
    branches = [project_features(LOADED, piece(seed).features, lengths)[0] for seed in (1, 9)]
    x = noise(4, lengths.latent, NETWORKS.params.latent_dim, seed=3)
    t = torch.tensor([0.1, 0.3, 0.6, 0.9])
    got = predict_velocity(flow(), x, t, branches, None)
    for row in range(4):
        alone = flow()(x[row : row + 1], t[row : row + 1], branches[row // 2][0])
        assert relative_error(got[row : row + 1], alone) < 1e-5
    same = predict_velocity(flow(), x, t[:1].expand(4), branches, None)
    assert relative_error(same, predict_velocity(flow(), x, t[:1], branches, None)) < 1e-5
