"""Voices are found where they are, and what is not measured says why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmaudio_core.models.silero_vad import SileroVAD
from mmaudio_core.scoring import voice
from mmaudio_core.scoring.voice import find_intervals, find_voice, lower_steady

from ..golden_files import GOLDEN
from .made_ambience import AMBIENCES, LENGTH, LEVEL, RATE, ambience, at_level
from .made_sounds import decibels, heard

SPEECH = GOLDEN / "speech_16k.flac"
"""By espeak-ng, voice en-us: "There it was, right in front of us." """
BEGIN = 3.0


@pytest.fixture(scope="module")
def speech() -> Tensor:
    """(T,) samples of RMS ``LEVEL``."""
    return at_level(heard(SPEECH)[0][0], LEVEL)


def spoken_in(ground: Tensor, speech: Tensor, decibels: float) -> Tensor:
    """A take (1, T): speech from ``BEGIN`` on."""
    take = ground.clone()
    begin = round(BEGIN * RATE)
    take[begin : begin + len(speech)] += speech * 10 ** (decibels / 20)
    return take[None]


@pytest.mark.parametrize("kind", AMBIENCES)
def test_a_voice_is_found_where_it_is_and_nowhere_else(kind: str, speech: Tensor) -> None:
    ground = ambience(kind)
    end = BEGIN + len(speech) / RATE
    found = find_voice(spoken_in(ground, speech, 0), RATE)
    assert BEGIN - 0.1 < found.intervals[0][0] < BEGIN + 0.35
    assert end - 0.8 < found.intervals[-1][1] < end + 0.1
    assert found.share is not None and 0.6 < found.share * 8 / (end - BEGIN) < 1.1
    assert find_voice(ground[None], RATE) == voice.VoiceResult(share=0.0)


@pytest.mark.parametrize("kind", [kind for kind in AMBIENCES if kind != "music"])
def test_a_quiet_voice_is_found_in_what_is_steady(kind: str, speech: Tensor) -> None:
    share = find_voice(spoken_in(ambience(kind), speech, -10), RATE).share
    assert share is not None and share * 8 > 0.6 * len(speech) / RATE


def test_what_is_steady_is_lowered_for_as_long_as_it_is() -> None:
    """Twelve seconds of noise, twelve of a quieter noise, and a burst in each."""
    draw = torch.Generator().manual_seed(0)
    sound = torch.randn(1, 24 * RATE, generator=draw)
    sound[:, 12 * RATE :] *= 0.1
    bursts = (slice(6 * RATE, 6 * RATE + 4000), slice(18 * RATE, 18 * RATE + 4000))
    for burst in bursts:
        sound[:, burst] *= 10
    lowered = lower_steady(sound)
    gains = [decibels(lowered[:, part]) - decibels(sound[:, part]) for part in bursts]
    assert gains == pytest.approx([0, 0], abs=0.5)
    for second in (2, 9, 15, 22):
        part = slice(second * RATE, (second + 1) * RATE)
        assert decibels(lowered[:, part]) - decibels(sound[:, part]) < -9


@pytest.mark.parametrize("length", [1, 300, 513])
def test_a_sound_of_a_moment_has_no_voice(length: int) -> None:
    assert find_voice(torch.full((1, length), 0.1), RATE).share == 0


def test_rate_and_channels_do_not_matter(speech: Tensor) -> None:
    take = spoken_in(ambience("rain"), speech, 0)
    expected = find_voice(take, RATE)
    stereo = voice.resample(take, RATE, 44_100).repeat(2, 1)
    found = find_voice(stereo, 44_100)
    assert found.share == pytest.approx(expected.share, abs=0.01)
    assert len(found.intervals) == len(expected.intervals)


def test_the_network_is_the_packages(speech: Tensor) -> None:
    """With the weights of the package's TorchScript file, which are of another training."""
    weights = voice._find_weights()
    assert weights is not None
    script = torch.jit.load(weights.with_name("silero_vad.jit"))
    names = {"stft_conv.weight": "stft.forward_basis_buffer"}
    for kind in ("weight", "bias"):
        names |= {f"conv{n + 1}.{kind}": f"encoder.{n}.reparam_conv.{kind}" for n in range(4)}
        names |= {f"lstm_cell.{kind}_{s}": f"decoder.rnn.{kind}_{s}" for s in ("ih", "hh")}
        names[f"final_conv.{kind}"] = f"decoder.decoder.2.{kind}"
    network = SileroVAD().eval()
    stored = script.state_dict()
    network.load_state_dict({own: stored[f"_model.{theirs}"] for own, theirs in names.items()})
    take = spoken_in(ambience("rain")[: LENGTH - 5], speech, 0)[:, :-200]
    with torch.inference_mode():
        found = network(take)[0]
        padded = torch.nn.functional.pad(take[0], (0, -take.shape[1] % 512))
        expected = torch.stack([script(frame, RATE)[0, 0] for frame in padded.split(512)])
    assert expected.max() > 0.9
    assert torch.allclose(found, expected, atol=1e-5)


def test_intervals() -> None:
    frame = 512 / RATE

    def found(*probabilities: tuple[float, int]) -> list[tuple[float, float]]:
        """Begin and end, in frames without the margins, of runs of probabilities."""
        frames = [probability for probability, count in probabilities for _ in range(count)]
        intervals = find_intervals(frames, len(frames) * frame)
        return [(round((b + 0.03) / frame, 3), round((e - 0.03) / frame, 3)) for b, e in intervals]

    assert found((0.0, 50)) == []
    assert found((0.0, 9), (0.9, 7), (0.0, 9)) == []  # 0.22 s
    assert found((0.0, 9), (0.9, 8), (0.0, 9)) == [(9, 17)]
    assert found((0.4, 9), (0.9, 8), (0.4, 9), (0.1, 9)) == [(9, 26)]
    assert found((0.0, 9), (0.9, 8), (0.0, 3), (0.9, 8), (0.0, 9)) == [(9, 28)]
    assert found((0.0, 9), (0.9, 8), (0.0, 5), (0.9, 8), (0.0, 9)) == [(9, 17), (22, 30)]
    assert find_intervals([0.9] * 20, 0.6) == ((0.0, 0.6),)


def test_the_package_is_not_imported_and_no_random_number_drawn(speech: Tensor) -> None:
    """Importing it would leave torch one thread; a draw would change another node's sound."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    find_voice(speech[None], RATE)
    assert "silero_vad" not in sys.modules
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)


def test_without_the_package_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "_PACKAGE", "a_package_that_is_not_there")
    result = find_voice(torch.zeros(1, RATE), RATE)
    assert result == voice.VoiceResult(share=None, reason="install silero-vad 6.2.1 or later")


def test_an_old_package_counts_as_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "an_old_package").mkdir()
    (tmp_path / "an_old_package" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(voice, "_PACKAGE", "an_old_package")
    assert find_voice(torch.zeros(1, RATE), RATE).reason == voice.INSTALL


@pytest.mark.parametrize("content", [b"", b"no weights", b"cut"])
def test_damaged_weights_are_named(
    content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weights = voice._find_weights()
    assert weights is not None
    damaged = tmp_path / weights.name
    damaged.write_bytes(weights.read_bytes()[:-100] if content == b"cut" else content)
    monkeypatch.setattr(voice, "_find_weights", lambda: damaged)
    result = find_voice(torch.zeros(1, RATE), RATE)
    assert result.share is None and "silero_vad_16k.safetensors is damaged" in result.reason
