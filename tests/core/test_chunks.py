"""Decoding in pieces: the same as whole, exact reaches, memory that does not grow."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.codec import decode as decoding
from mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE, decode
from mmaudio_core.errors import NumericsError
from mmaudio_core.models.bigvgan import BigVGAN
from mmaudio_core.models.bigvgan.activation import (
    REACH,
    AliasFreeActivation,
    Filters,
    fir_convolution,
    fir_matmul,
    lowpass,
)
from mmaudio_core.models.chunked import LocalOp, chunk_bounds, run_chunk, run_full
from mmaudio_core.models.vae import VAE
from tests.core.small import CancelAt, Cancelled, MemoryNetworks
from tests.golden_files import relative_error

VARIANTS = ["small_16k", "large_44k_v2"]
EXACT = 2e-5  # rounding: seeded networks make some 5e-6 of the 1e-7 that other sizes differ by


def vae(variant: str) -> VAE:
    network = MemoryNetworks(variant).acquire(PartKind.VAE, 0).network
    assert isinstance(network, VAE)
    return network


def vocoder(variant: str) -> BigVGAN:
    network = MemoryNetworks(variant).acquire(PartKind.VOCODER, 0).network
    assert isinstance(network, BigVGAN)
    return network


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def log_mel(channels: int, frames: int) -> Tensor:
    return noise(1, channels, frames) * 2 - 4


@pytest.mark.parametrize(("length", "longest"), [(1, 8), (8, 8), (9, 8), (100, 7), (3, 1)])
def test_spans_follow_one_another_and_are_alike(length: int, longest: int):
    found = chunk_bounds(length, longest)
    assert [start for start, _ in found] == [0, *[stop for _, stop in found[:-1]]]
    assert found[-1][1] == length
    sizes = {stop - start for start, stop in found}
    assert max(sizes) <= longest
    assert max(sizes) - min(sizes) <= 1


def test_each_piece_reads_what_it_needs_and_no_more():
    read: list[int] = []

    def spy(x: Tensor) -> Tensor:
        read.append(x.shape[-1])
        return x.repeat_interleave(4, dim=-1)

    steps = [LocalOp(run=spy, up=4, reach=6)]
    x = torch.arange(100.0)
    assert torch.equal(run_chunk(steps, x, (200, 208)), x[50:52].repeat_interleave(4))
    assert torch.equal(run_chunk(steps, x, (0, 4)), x[:1].repeat_interleave(4))
    assert torch.equal(run_chunk(steps, x, (396, 400)), x[99:].repeat_interleave(4))
    assert read == [6, 3, 3]  # 194 to 213; 0 to 9; 390 to 399


def touched(step: LocalOp, x: Tensor, at: int) -> tuple[int, int]:
    """First and last output that input ``at`` has a part in."""
    x[..., at] = torch.nan
    found = step.run(x).isnan().any(dim=1)[0].nonzero()[:, 0]
    return int(found[0]), int(found[-1])


@pytest.fixture
def by_taps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Activations that multiply nothing with zero, which would spread NaN."""
    monkeypatch.setattr("mmaudio_core.models.bigvgan.activation.fir_matmul", fir_convolution)


@pytest.mark.usefixtures("by_taps")
@pytest.mark.parametrize("variant", VARIANTS)
def test_reaches_are_those_of_the_networks(variant: str):
    networks = vae(variant), vocoder(variant)
    seen = noise(1, 64, 128), noise(1, 64, 128)
    decoder, encoder = networks[0].decoder.parts(seen), networks[0].encoder.parts(seen)
    local = [*decoder, *encoder, *networks[1].parts(torch.float32)]
    for step, channels in zip(local, widths(*networks), strict=True):
        length, at = 300, 150
        first, last = touched(step, noise(1, channels, length), at)
        at //= step.down
        assert first >= at * step.up - step.reach
        assert last <= (at + 1) * step.up - 1 + step.reach
        # an activation's filters have an even number of taps: what is left may differ by one side
        assert max(at * step.up - first, last - (at + 1) * step.up + 1) == step.reach


def widths(vae: VAE, vocoder: BigVGAN) -> list[int]:
    """Input channels of each local step of the networks."""
    narrow, middle, wide = vae.params.widths
    above = [vocoder.params.width >> i for i in range(len(vocoder.params.rates) + 1)]
    return [
        vae.params.latent_dim,
        *[wide] * 7,  # the middle's block, attention, block; the highest level; the next's first
        *[middle] * 4,  # two blocks, upsampling, the lowest level's first
        *[narrow] * 3,
        vae.params.mels,
        *[narrow] * 4,  # two blocks, downsampling, the next level's first
        *[middle] * 2,
        *[wide] * 5,  # the lowest level's second; the middle's three; the end
        vocoder.params.mels,
        *above,
    ]


@pytest.mark.usefixtures("by_taps")
def test_an_activation_reaches_as_far_as_its_filters():
    act = AliasFreeActivation(1, device=None, dtype=None)
    with torch.no_grad():
        for filters in (act.upsample.filter, act.downsample.lowpass.filter):
            filters.copy_(lowpass())
        act.act.alpha.zero_()
        act.act.beta.zero_()
        step = LocalOp(run=partial(act, dtype=torch.float32), reach=REACH)
        assert touched(step, noise(1, 1, 100), 50) == (50 - REACH, 50 + REACH)


@pytest.mark.parametrize("blocks", [(1, 48), (64, 1), (1000, 3)])
def test_an_activation_by_products_is_the_one_by_convolution(
    blocks: tuple[int, int], monkeypatch: pytest.MonkeyPatch
):
    draw = torch.Generator().manual_seed(0)
    scales = (torch.rand(5, 1, generator=draw) + 0.5 for _ in range(2))
    filters = Filters(*scales, raising=2 * lowpass(), lowering=lowpass())
    monkeypatch.setattr("mmaudio_core.models.bigvgan.activation._BLOCK", blocks[0])
    monkeypatch.setattr("mmaudio_core.models.bigvgan.activation._BLOCK_CHANNELS", blocks[1])
    for length in (1, 2, 6, 15, 16, 17, 21, 32, 33, 171):
        x = noise(2, 5, length)
        expected = fir_convolution(x, filters)
        assert relative_error(fir_matmul(x, filters), expected) < 1e-6, length


@pytest.fixture
def all_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pieces there are, the VAE's attention sees all of them."""
    monkeypatch.setattr("mmaudio_core.models.vae.network.NEIGHBOURS", 100)


LENGTHS = [(1, 4), (3, 4), (4, 4), (5, 4), (37, 12), (41, 40), (90, 40)]


@pytest.mark.usefixtures("all_seen")
@pytest.mark.parametrize(("length", "longest"), LENGTHS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_pieces_make_the_whole(variant: str, length: int, longest: int):
    with torch.no_grad():
        network = vae(variant)
        z = noise(2, network.params.latent_dim, length)
        mel = torch.cat(list(network.pieces(z, longest)), dim=-1)
        assert relative_error(mel, network.decode(z)) < EXACT
        network = vocoder(variant)
        mel = log_mel(network.params.mels, length)
        pieces = list(network.pieces(mel, longest))
        assert len(pieces) == -(-length // longest)
        expected = network(mel)
        got = torch.cat(pieces, dim=-1)
        assert relative_error(got, expected) < EXACT
        hop = network.params.hop
        for edge in (slice(0, hop), slice(-hop, None)):
            assert relative_error(got[..., edge], expected[..., edge]) < EXACT


@pytest.mark.usefixtures("all_seen")
@pytest.mark.parametrize(("length", "longest"), LENGTHS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_latents_in_pieces_are_the_latents(variant: str, length: int, longest: int):
    network = vae(variant)
    with torch.no_grad():
        mel = noise(1, network.params.mels, 2 * length) * 2 - 4
        pieces = list(network.mean_pieces(mel, longest))
        assert len(pieces) == -(-length // longest)
        assert relative_error(torch.cat(pieces, dim=-1), network.encode(mel)[0]) < EXACT


def test_far_from_a_piece_its_attention_sees_nothing():
    """The first piece of ten sees three of them."""
    network = vae("small_16k")
    with torch.no_grad():
        z = noise(1, network.params.latent_dim, 100)
        for seen in (True, False):
            changed = z.clone()
            # the margin of the third ends three beyond the 30
            changed[..., 29 if seen else 34 :] = 0
            first, other = (next(network.pieces(some, 10)) for some in (z, changed))
            assert (relative_error(other, first) > EXACT) is seen
        got = torch.cat(list(network.pieces(z, 10)), dim=-1)
        assert 0 < relative_error(got, network.decode(z)) < 0.15


@pytest.mark.parametrize("variant", VARIANTS)
def test_margins_too_narrow_are_noticed(variant: str):
    with torch.no_grad():
        network = vocoder(variant)
        mel = log_mel(network.params.mels, 40)
        steps = network.parts(torch.float32)
        narrow = [replace(step, reach=step.reach // 2) for step in steps]
        span = (20 * network.params.hop, 21 * network.params.hop)
        expected = run_full(steps, mel)[..., slice(*span)]
        assert relative_error(run_chunk(steps, mel, span), expected) < EXACT
        assert relative_error(run_chunk(narrow, mel, span), expected) > 10 * EXACT


def latents_of(seconds: int, takes: int = 1) -> Tensor:
    return noise(takes, -(-seconds * 16_000 // 512), 20)


def shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "VAE_SECONDS", 1)
    monkeypatch.setattr(decoding, "_VOCODER_SECONDS_CPU", 1)


def test_the_sound_in_pieces_is_the_sound(monkeypatch: pytest.MonkeyPatch):
    networks, latents = MemoryNetworks(), latents_of(3, takes=2)
    with torch.no_grad():
        z = latents.transpose(1, 2)
        expected = vocoder("small_16k")(vae("small_16k").decode(z))[..., :46_400]
    shorter(monkeypatch)
    calls: list[tuple[str, int, int]] = []
    got = decode(networks, latents, Fraction("2.9"), lambda *call: calls.append(call))
    assert got.shape == (2, 1, 46_400)
    assert relative_error(got, expected) < EXACT
    for stage in (VAE_STAGE, VOCODER_STAGE):
        done = [call[1:] for call in calls if call[0] == stage]
        assert done == sorted(done)
        assert {call[0] for call in done} == set(range(7))  # 3 pieces a take
        assert done[-1] == (6, 6)


@pytest.mark.parametrize("stage", [VAE_STAGE, VOCODER_STAGE])
def test_a_later_piece_can_be_cancelled(stage: str, monkeypatch: pytest.MonkeyPatch):
    shorter(monkeypatch)
    cancel = CancelAt(stage, 30)
    with pytest.raises(Cancelled):
        decode(MemoryNetworks(), latents_of(3), Fraction(3), cancel)
    assert cancel.seen == 30


def test_a_piece_that_breaks_is_told(monkeypatch: pytest.MonkeyPatch):
    shorter(monkeypatch)
    broken = MemoryNetworks()
    network = broken.acquire(PartKind.VOCODER, 0).network
    assert isinstance(network, BigVGAN)
    network.conv_post.weight.fill_(torch.inf)
    with pytest.raises(NumericsError, match=r"the vocoder produced NaN .*conv_post"):
        decode(broken, latents_of(3), Fraction(3))


class Live(TorchDispatchMode):
    """Follows how many bytes of tensors are alive that were made while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor):
                self._follow(tensor)
        return made

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        at, size = storage.data_ptr(), storage.nbytes()
        self.users[at] = self.users.get(at, 0) + 1
        if self.users[at] == 1:
            self.now += size
            self.peak = max(self.peak, self.now)
        weakref.finalize(tensor, self._forget, at, size)

    def _forget(self, at: int, size: int) -> None:
        self.users[at] -= 1
        if not self.users[at]:
            del self.users[at]
            self.now -= size


def peak(work: Callable[[], object]) -> float:
    """Megabytes."""
    live = Live()
    with live, torch.no_grad():
        work()
    return live.peak / 1e6


def decoded(seconds: int) -> float:
    """Peak of decoding beside what it returns and the mel."""
    networks, latents = MemoryNetworks(), latents_of(seconds)
    for kind in PartKind:
        networks.acquire(kind, 0)
    found = peak(lambda: decode(networks, latents, Fraction(seconds)))
    mel, wave = 2 * 80 * latents.shape[1], 16_000 * seconds
    return found - (mel + wave) * 4 / 1e6


def test_memory_does_not_grow_with_the_duration(monkeypatch: pytest.MonkeyPatch):
    """Nor is it that of whole activations, which the same measure tells apart."""
    shorter(monkeypatch)  # so that both are longer than an attention sees
    short, long = decoded(10), decoded(20)
    assert long < 1.05 * short

    network = vocoder("small_16k")

    def at_once(seconds: int) -> float:
        mel = log_mel(80, seconds * 16_000 // 256)
        return peak(lambda: network(mel))

    assert at_once(6) > 2.5 * at_once(2)
