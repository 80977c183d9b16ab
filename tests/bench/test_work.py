"""Operations are counted as PyTorch's own counter does."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.rates import Rates
from bench.work import Counter, Work
from mmaudio_core.checkpoint import PartKind
from mmaudio_core.models.bigvgan import BigVGAN
from mmaudio_core.models.flow import FlowNetwork
from mmaudio_core.models.vae import VAE
from tests.golden_files import tiny_weights
from tests.parity.build import build


@pytest.mark.parametrize("part", ["dit_small_44k", "vae_44k", "bigvgan_44k"])
def test_operations(part: str) -> None:
    kind = {"d": PartKind.FLOW, "v": PartKind.VAE, "b": PartKind.VOCODER}[part[0]]
    network = build(kind, tiny_weights(part)).to("meta")  # as the benchmark counts

    def ones(*shape: int) -> torch.Tensor:
        return torch.ones(shape, device="meta")

    def run() -> None:
        if isinstance(network, FlowNetwork):
            p = network.params
            clip, sync = ones(1, 8, p.clip_dim), ones(1, 16, p.sync_dim)
            conditions = network.conditions(clip, sync, ones(1, 77, p.text_dim), 43)
            network(ones(1, 43, p.latent_dim), ones(1), conditions)
        elif isinstance(network, VAE):
            network.decode(ones(1, 40, 12))
        else:
            assert isinstance(network, BigVGAN)
            network(ones(1, 128, 12))

    with torch.no_grad(), FlopCounterMode(display=False) as expected:
        run()
    with torch.no_grad(), Counter() as got:
        run()
    assert got.flops == pytest.approx(expected.get_total_flops(), rel=0.02)
    assert got.bytes > 0


def test_bytes_are_what_goes_in_and_out() -> None:
    with Counter() as counter:
        torch.nn.functional.linear(torch.ones(3, 4), torch.ones(5, 4), torch.ones(5))
    assert counter.flops == 2 * 3 * 4 * 5
    assert counter.bytes == 4 * (3 * 4 + 5 * 4 + 5 + 3 * 5)


def test_the_slower_of_both_limits() -> None:
    rates = Rates(precision="fp32", flops=100, bytes=10)
    assert Work(flops=100, bytes=5, precision="fp32").seconds(rates) == 1
    assert Work(flops=100, bytes=50, precision="fp32").seconds(rates) == 5
