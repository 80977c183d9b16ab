"""From latents to sound and back, in chunks: progress, cancellation, errors, memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmaudio_core.audio.mel import log_mel
from mmaudio_core.audio.resample import resample
from mmaudio_core.audio.waveform import Audio
from mmaudio_core.checkpoint import PartKind
from mmaudio_core.codec import decode as decode_module
from mmaudio_core.codec import encode as encode_module
from mmaudio_core.codec.decode import VAE_STAGE, VOCODER_STAGE, decode
from mmaudio_core.codec.encode import ENCODER_STAGE, encode, encode_posterior
from mmaudio_core.config import FORMAT_16K
from mmaudio_core.errors import MediaError, NumericsError, Problem
from mmaudio_core.models.bigvgan import BigVGAN
from mmaudio_core.models.vae import VAE
from mmaudio_core.providers import LoadedModel
from tests.core.live_memory import peak
from tests.core.networks import noise
from tests.core.small import CancelAt, Cancelled, MemoryNetworks
from tests.golden_files import relative_error

EXACT = 2e-5  # see test_chunks


def latents_of(seconds: int, takes: int = 1) -> Tensor:
    return noise(takes, -(-seconds * 16_000 // 512), 20)


def at(rate: int, waveforms: Tensor) -> Audio:
    """An AUDIO of this rate."""
    return Audio(waveforms=waveforms, sample_rate=rate)


def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "VAE_SECONDS", 1)
    monkeypatch.setattr(decode_module, "_VOCODER_SECONDS_CPU", 1)


def test_sound_does_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch):
    networks, latents = MemoryNetworks(), latents_of(3, takes=2)
    with torch.no_grad():
        z = latents.transpose(1, 2)
        vae = networks.acquire(PartKind.VAE, 0).network
        vocoder = networks.acquire(PartKind.VOCODER, 0).network
        assert isinstance(vae, VAE)
        assert isinstance(vocoder, BigVGAN)
        expected = vocoder(vae.decode(z))[..., :46_400]
    short_chunks(monkeypatch)
    calls: list[tuple[str, int, int]] = []
    waveforms = decode(networks, latents, Fraction("2.9"), lambda *call: calls.append(call))
    assert waveforms.shape == (2, 1, 46_400)
    assert relative_error(waveforms, expected) < EXACT
    for stage in (VAE_STAGE, VOCODER_STAGE):
        done = [call[1:] for call in calls if call[0] == stage]
        assert done == sorted(done)
        assert {call[0] for call in done} == set(range(7))  # 3 chunks per take
        assert done[-1] == (6, 6)


@pytest.mark.parametrize("stage", [VAE_STAGE, VOCODER_STAGE])
def test_a_later_chunk_can_be_cancelled(stage: str, monkeypatch: pytest.MonkeyPatch):
    short_chunks(monkeypatch)
    cancel = CancelAt(stage, 30)
    with pytest.raises(Cancelled):
        decode(MemoryNetworks(), latents_of(3), Fraction(3), cancel)
    assert cancel.seen == 30


def test_latents_that_are_not_finite_are_refused():
    latents = latents_of(1)
    latents[0, 3, 4] = torch.nan
    with pytest.raises(NumericsError, match="got latents with NaN or infinite values") as error:
        decode(MemoryNetworks(), latents, Fraction(1))
    assert error.value.problem is Problem.NUMERICS


def test_a_chunk_that_is_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch):
    short_chunks(monkeypatch)
    broken = MemoryNetworks()
    network = broken.acquire(PartKind.VOCODER, 0).network
    network.get_parameter("conv_post.weight").fill_(torch.inf)
    with pytest.raises(NumericsError, match=r"the vocoder produced NaN .*conv_post"):
        decode(broken, latents_of(3), Fraction(3))


def test_encoding_gives_the_means_of_each_take(monkeypatch: pytest.MonkeyPatch):
    networks = MemoryNetworks()
    stereo = noise(2, 2, 30_000) / 4
    vae = networks.acquire(PartKind.VAE, 0).network
    assert isinstance(vae, VAE)
    with torch.no_grad():
        mel = log_mel(F.pad(stereo.mean(dim=1), (0, 2256)), FORMAT_16K)
        expected = vae.encode(mel)[0].transpose(1, 2)
    monkeypatch.setattr(encode_module, "VAE_SECONDS", 1)
    calls: list[tuple[str, int, int]] = []
    latents = encode(networks, at(16_000, stereo), Fraction(2), lambda *call: calls.append(call))
    assert latents.shape == (2, 63, 20)  # 2 s, of which the last 0.125 s are silent
    assert relative_error(latents, expected) < EXACT
    assert calls[-1] == (ENCODER_STAGE, 4, 4)  # 2 chunks per take


def test_the_posterior_has_the_spread_of_the_encoder():
    networks = MemoryNetworks()
    sound = noise(1, 1, 16_384) / 4
    vae = networks.acquire(PartKind.VAE, 0).network
    assert isinstance(vae, VAE)
    with torch.no_grad():
        mean, logvar = vae.encode(log_mel(sound[0], FORMAT_16K))
    posterior = encode_posterior(networks, at(16_000, sound), Fraction(16_384, 16_000))
    assert relative_error(posterior.std, (logvar.exp() ** 0.5).transpose(1, 2)) < EXACT
    drawn = torch.stack([posterior.sample(torch.Generator().manual_seed(k)) for k in range(200)])
    expected = mean.transpose(1, 2)
    assert relative_error(drawn.std(dim=0).mean(), posterior.std.mean()) < 0.05
    assert ((drawn.mean(dim=0) - expected) / posterior.std).square().mean() < 2 / 200
    assert torch.equal(posterior.sample(torch.Generator().manual_seed(7)), drawn[7])


def test_sound_at_another_rate_is_resampled_before_it_is_encoded():
    sound = noise(1, 1, 44_100) / 4
    at_16k = resample(sound[0], 44_100, 16_000)[None]
    latents = encode(MemoryNetworks(), at(44_100, sound), Fraction(1))
    assert torch.equal(latents, encode(MemoryNetworks(), at(16_000, at_16k), Fraction(1)))


def test_sound_beyond_the_duration_is_not_encoded():
    sound = noise(1, 1, 20_000) / 4
    silent_after = sound.clone()
    silent_after[..., 16_000:] = 0
    latents = encode(MemoryNetworks(), at(16_000, sound), Fraction(1))
    assert torch.equal(latents, encode(MemoryNetworks(), at(16_000, silent_after), Fraction(1)))


@pytest.mark.parametrize(
    ("waveform", "problem"),
    [
        (torch.zeros(2, 16_000), Problem.AUDIO_SHAPE),
        (torch.zeros(1, 0, 16_000), Problem.AUDIO_SHAPE),
        (torch.full((1, 1, 16_000), torch.inf), Problem.AUDIO_NOT_FINITE),
    ],
)
def test_unusable_sound_is_refused(waveform: Tensor, problem: Problem):
    with pytest.raises(MediaError) as error:
        encode(MemoryNetworks(), at(16_000, waveform), Fraction(1))
    assert error.value.problem is problem


def decoded(seconds: int) -> float:
    """Peak megabytes of decoding, apart from its result and the mel."""
    networks, latents = MemoryNetworks(), latents_of(seconds)
    for kind in (PartKind.VAE, PartKind.VOCODER):
        networks.acquire(kind, 0)
    total = peak(lambda: decode(networks, latents, Fraction(seconds)))
    mel, waveform = 2 * 80 * latents.shape[1], 16_000 * seconds
    return total - (mel + waveform) * 4 / 1e6


def test_memory_does_not_grow_with_the_duration(monkeypatch: pytest.MonkeyPatch):
    short_chunks(monkeypatch)  # both are longer than the attention's context
    short, long = decoded(10), decoded(20)
    assert long < 1.05 * short

    network = MemoryNetworks().acquire(PartKind.VOCODER, 0).network

    def at_once(seconds: int) -> float:
        mel = noise(1, 80, seconds * 16_000 // 256) * 2 - 4
        return peak(lambda: network(mel))

    assert at_once(6) > 2.5 * at_once(2)  # the measurement tells the difference


@dataclass
class MeasuredNetworks(MemoryNetworks):
    """Records how much memory is requested for each network's activations."""

    requested: dict[PartKind, float] = field(default_factory=dict)  # megabytes

    def acquire(self, kind: PartKind, activation_bytes: int) -> LoadedModel:
        self.requested[kind] = activation_bytes / 1e6
        return super().acquire(kind, activation_bytes)


def test_requested_memory_covers_the_activations(monkeypatch: pytest.MonkeyPatch):
    networks, seconds = MeasuredNetworks(), 20
    vae = networks.acquire(PartKind.VAE, 0).network
    vocoder = networks.acquire(PartKind.VOCODER, 0).network
    assert isinstance(vae, VAE)
    assert isinstance(vocoder, BigVGAN)
    latents = latents_of(seconds)
    sound = noise(1, 1, 16_000 * seconds) / 4
    mel = log_mel(sound[0], FORMAT_16K)
    monkeypatch.setattr(decode_module, "VAE_CHANNELS", vae.params.widths[-1])
    monkeypatch.setattr(encode_module, "VAE_CHANNELS", vae.params.widths[-1])
    monkeypatch.setattr(decode_module, "_VOCODER_CHANNELS", vocoder.params.width >> 6)

    chunk = FORMAT_16K.latents(16)
    decode(networks, latents, Fraction(seconds))
    needed = peak(lambda: consume(vae.decode_chunks(latents.transpose(1, 2), chunk)))
    assert needed < networks.requested[PartKind.VAE] < 3 * needed
    needed = peak(lambda: consume(vocoder.decode_chunks(mel, chunk)))  # 8 s of mel frames
    assert needed < networks.requested[PartKind.VOCODER] < 3 * needed
    encode(networks, at(16_000, sound), Fraction(seconds))
    needed = peak(lambda: consume(vae.encode_chunks(mel, chunk)))
    assert needed < networks.requested[PartKind.VAE] < 7 * needed


def consume(chunks: Iterator[object]) -> None:
    for _ in chunks:
        pass
