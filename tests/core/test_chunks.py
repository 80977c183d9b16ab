"""Chunk by chunk, networks compute what they compute at once, up to the VAE's attention."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mmaudio_core.checkpoint import PartKind
from mmaudio_core.models.bigvgan import BigVGAN
from mmaudio_core.models.bigvgan.fir import fir_convolution
from mmaudio_core.models.chunked import LocalOp, chunk_bounds, run_chunk, run_full
from mmaudio_core.models.vae import CONTEXT_CHUNKS, VAE
from mmaudio_core.models.vae.context import attention_contexts
from tests.core.networks import affected, noise
from tests.core.small import MemoryNetworks
from tests.golden_files import relative_error

VARIANTS = ["small_16k", "large_44k_v2"]
EXACT = 2e-5  # other sizes round differently by 1e-7, which seeded networks amplify to 5e-6


def vae(variant: str) -> VAE:
    network = MemoryNetworks(variant).acquire(PartKind.VAE, 0).network
    assert isinstance(network, VAE)
    return network


def vocoder(variant: str) -> BigVGAN:
    network = MemoryNetworks(variant).acquire(PartKind.VOCODER, 0).network
    assert isinstance(network, BigVGAN)
    return network


def log_mel(channels: int, frames: int) -> Tensor:
    return noise(1, channels, frames) * 2 - 4


@pytest.mark.parametrize(("length", "longest"), [(1, 8), (8, 8), (9, 8), (100, 7), (3, 1)])
def test_chunks_are_consecutive_and_of_similar_size(length: int, longest: int):
    chunks = chunk_bounds(length, longest)
    assert [start for start, _ in chunks] == [0, *[stop for _, stop in chunks[:-1]]]
    assert chunks[-1][1] == length
    assert len(chunks) == -(-length // longest)
    sizes = {stop - start for start, stop in chunks}
    assert max(sizes) <= longest
    assert max(sizes) - min(sizes) <= 1


def test_a_chunk_reads_only_the_input_it_needs():
    read: list[int] = []

    def spy(x: Tensor) -> Tensor:
        read.append(x.shape[-1])
        return x.repeat_interleave(4, dim=-1)

    ops = [LocalOp(run=spy, up=4, radius=6)]
    x = torch.arange(100.0)
    assert torch.equal(run_chunk(ops, x, (200, 208)), x[50:52].repeat_interleave(4))
    assert torch.equal(run_chunk(ops, x, (0, 4)), x[:1].repeat_interleave(4))
    assert torch.equal(run_chunk(ops, x, (396, 400)), x[99:].repeat_interleave(4))
    assert read == [6, 3, 3]  # outputs 194 to 213; 0 to 9; 390 to 399


@pytest.mark.parametrize("variant", VARIANTS)
def test_receptive_fields_are_those_of_the_networks(variant: str, monkeypatch: pytest.MonkeyPatch):
    # matrix products would multiply NaN by zero
    monkeypatch.setattr("mmaudio_core.models.bigvgan.activation.fir_matmul", fir_convolution)
    networks = vae(variant), vocoder(variant)
    context = noise(1, 64, 128), noise(1, 64, 128)
    decoder, encoder = networks[0].decoder.ops(context), networks[0].encoder.ops(context)
    ops = [*decoder, *encoder, *networks[1].ops(torch.float32)]
    for op, channels in zip(ops, input_channels(*networks), strict=True):
        length, index = 300, 150
        first, last = affected(op, noise(1, channels, length), index)
        index //= op.down
        assert first >= index * op.up - op.radius
        assert last <= (index + 1) * op.up - 1 + op.radius
        # filters with an even number of taps see one sample less on one side
        assert max(index * op.up - first, last - (index + 1) * op.up + 1) == op.radius


def input_channels(vae: VAE, vocoder: BigVGAN) -> list[int]:
    """Of each local operation of the networks."""
    narrow, middle, wide = vae.params.widths
    stages = [vocoder.params.width >> i for i in range(len(vocoder.params.rates) + 1)]
    return [
        vae.params.latent_dim,
        *[wide] * 7,  # the middle's block, attention, block; level 2; level 1's first block
        *[middle] * 4,  # two blocks, upsampling, level 0's first block
        *[narrow] * 3,
        vae.params.mels,
        *[narrow] * 4,  # two blocks, downsampling, level 1's first block
        *[middle] * 2,
        *[wide] * 5,  # level 2's second block; the middle; the end
        vocoder.params.mels,
        *stages,
    ]


@pytest.fixture
def unlimited_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """The VAE's attention sees all chunks."""
    monkeypatch.setattr("mmaudio_core.models.vae.context.CONTEXT_CHUNKS", 100)


LENGTHS = [(1, 4), (3, 4), (4, 4), (5, 4), (37, 12), (41, 40), (90, 40)]


@pytest.mark.usefixtures("unlimited_context")
@pytest.mark.parametrize(("length", "longest"), LENGTHS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_decoded_chunks_make_the_whole(variant: str, length: int, longest: int):
    with torch.no_grad():
        network = vae(variant)
        z = noise(2, network.params.latent_dim, length)
        mel = torch.cat(list(network.decode_chunks(z, longest)), dim=-1)
        assert relative_error(mel, network.decode(z)) < EXACT
        network = vocoder(variant)
        mel = log_mel(network.params.mels, length)
        chunks = list(network.decode_chunks(mel, longest))
        assert len(chunks) == -(-length // longest)
        expected = network(mel)
        waveform = torch.cat(chunks, dim=-1)
        assert relative_error(waveform, expected) < EXACT
        hop = network.params.hop
        for edge in (slice(0, hop), slice(-hop, None)):
            assert relative_error(waveform[..., edge], expected[..., edge]) < EXACT


@pytest.mark.usefixtures("unlimited_context")
@pytest.mark.parametrize(("length", "longest"), LENGTHS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_encoded_chunks_make_the_whole(variant: str, length: int, longest: int):
    network = vae(variant)
    with torch.no_grad():
        mel = log_mel(network.params.mels, 2 * length)
        chunks = list(network.encode_chunks(mel, longest))
        assert len(chunks) == -(-length // longest)
        for parts, expected in zip(zip(*chunks, strict=True), network.encode(mel), strict=True):
            assert relative_error(torch.cat(parts, dim=-1), expected) < EXACT


@pytest.mark.parametrize("half", ["decoder", "encoder"])
def test_attention_of_a_chunk_sees_its_neighbors_and_no_others(half: str):
    network = getattr(vae("small_16k"), half)
    length, channels = (70, 20) if half == "decoder" else (140, 80)
    chunks = chunk_bounds(70, 10)
    assert CONTEXT_CHUNKS == 2
    # first and last chunk that each of the seven sees
    expected = [(0, 2), (0, 3), (0, 4), (1, 5), (2, 6), (3, 6), (4, 6)]
    with torch.no_grad():
        x = noise(1, channels, length)
        whole = network.mid.attn_1.keys_values(run_full(network.ops_before_attention(), x))
        contexts = list(attention_contexts(network, x, chunks))
    for context, (first, last) in zip(contexts, expected, strict=True):
        assert context is not None
        seen = slice(chunks[first][0], chunks[last][1])
        for found, all_of_it in zip(context, whole, strict=True):
            assert found.shape == all_of_it[:, seen].shape
            assert relative_error(found, all_of_it[:, seen]) < EXACT


def test_limited_context_changes_long_results_a_little():
    network = vae("small_16k")
    with torch.no_grad():
        z = noise(1, network.params.latent_dim, 100)
        mel = torch.cat(list(network.decode_chunks(z, 10)), dim=-1)
        assert 0 < relative_error(mel, network.decode(z)) < 0.15


@pytest.mark.parametrize("variant", VARIANTS)
def test_margins_that_are_too_narrow_change_the_result(variant: str):
    with torch.no_grad():
        network = vocoder(variant)
        mel = log_mel(network.params.mels, 40)
        ops = network.ops(torch.float32)
        narrow = [replace(op, radius=op.radius // 2) for op in ops]
        bounds = (20 * network.params.hop, 21 * network.params.hop)
        expected = run_full(ops, mel)[..., slice(*bounds)]
        assert relative_error(run_chunk(ops, mel, bounds), expected) < EXACT
        assert relative_error(run_chunk(narrow, mel, bounds), expected) > 10 * EXACT
