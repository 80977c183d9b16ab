"""Every form of AUDIO that nodes make, and what is said about those that are none."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mmaudio_core.audio.waveform import Audio, check_finite_samples, read_audio
from mmaudio_core.errors import MediaError, Problem

RATE = 16_000
SAMPLES = torch.linspace(-1, 1 - 2**-7, 512).reshape(2, 256)  # stereo, the whole range


class Lazy(Mapping[str, Any]):
    """Loads when it is asked, as VideoHelperSuite's sound does."""

    def __init__(self, **entries: Any) -> None:
        self._entries = entries
        self.loads = 0

    def __getitem__(self, key: str) -> Any:
        self.loads += 1
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def as_integers(bits: int, dtype: torch.dtype) -> Tensor:
    """``SAMPLES`` as signed integers of so many bits."""
    return (SAMPLES.double() * 2 ** (bits - 1)).round().to(dtype)


def every_other(samples: Tensor) -> Tensor:
    """The same values, not next to each other."""
    return torch.stack((samples, samples + 9), -1)[..., 0]


# name -> the waveform, and by how much it may differ from SAMPLES
FORMS: dict[str, tuple[Any, float]] = {
    "float32": (SAMPLES[None], 0),
    "float64": (SAMPLES[None].double(), 0),
    "float16": (SAMPLES[None].half(), 2**-11),
    "bfloat16": (SAMPLES[None].bfloat16(), 2**-8),
    "int16": (as_integers(16, torch.int16)[None], 2**-16),
    "int32": (as_integers(32, torch.int32)[None], 2**-24),
    "int8": (as_integers(8, torch.int8)[None], 2**-8),
    "uint8": ((as_integers(8, torch.int16) + 128).to(torch.uint8)[None], 2**-8),
    "(C, T)": (SAMPLES, 0),
    "numpy": (SAMPLES[None].numpy(), 0),
    "numpy float64": (SAMPLES.double().numpy(), 0),
    "numpy float16": (SAMPLES.half().numpy(), 2**-11),
    "numpy int16": (as_integers(16, torch.int16).numpy(), 2**-16),
    "numpy big-endian": (SAMPLES.numpy().astype(">f4"), 0),
    "numpy big-endian int16": (as_integers(16, torch.int16).numpy().astype(">i2"), 2**-16),
    "numpy reversed": (SAMPLES.flip(-1).numpy()[..., ::-1], 0),
    "not contiguous": (every_other(SAMPLES[None]), 0),
    "transposed": (SAMPLES.T.contiguous().T, 0),
    "requires_grad": (SAMPLES.clone().requires_grad_(), 0),
    "named": (SAMPLES.refine_names("channels", "samples"), 0),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    waveform, tolerance = FORMS[form]
    audio = read_audio({"waveform": waveform, "sample_rate": RATE})
    got = audio.waveforms
    assert got.shape == (1, 2, 256) and got.dtype is torch.float32
    assert got.device.type == "cpu" and got.is_contiguous() and not got.requires_grad
    assert float((got[0] - SAMPLES).abs().max()) <= tolerance
    assert audio.duration == Fraction(256, RATE)


def test_one_dimension_is_mono() -> None:
    assert torch.equal(
        read_audio({"waveform": SAMPLES[0], "sample_rate": RATE}).waveforms, SAMPLES[None, :1]
    )


def test_a_read_only_array_is_left_alone() -> None:
    array = SAMPLES.numpy().copy()
    array.flags.writeable = False
    read_audio({"waveform": array, "sample_rate": RATE}).waveforms.zero_()
    assert np.array_equal(array, SAMPLES.numpy())


def test_takes_and_channels_stay() -> None:
    waveforms = torch.randn(3, 6, 50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        read_audio({"waveform": waveforms, "sample_rate": RATE}).waveforms, waveforms
    )


@pytest.mark.parametrize("make", [dict, Lazy, UserDict])
def test_mappings(make: Any) -> None:
    """With entries of other packs beside it."""
    audio = read_audio(make(waveform=SAMPLES[None], sample_rate=RATE, path="a.wav"))
    assert torch.equal(audio.waveforms, SAMPLES[None]) and audio.sample_rate == RATE


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (44_100, 44_100),
        (44_100.0, 44_100),
        (24_414.0625, 24_414),
        (torch.tensor(48_000), 48_000),
        (torch.tensor([48_000.0]), 48_000),
        (np.int64(192_000), 192_000),
        (np.float32(37_800), 37_800),
        (np.array([22_050]), 22_050),
    ],
)
def test_rates(rate: Any, expected: int) -> None:
    got = read_audio({"waveform": SAMPLES, "sample_rate": rate}).sample_rate
    assert got == expected and type(got) is int


EMPTY = "expected at least one sample"
KEYS = "expected waveform and sample_rate"
TYPES = r"expected a tensor of floats in \[-1, 1\], int16, int32 or uint8"
HZ = "as sample rate, expected a number of Hz from 1000 to 1000000"


def sound(waveform: Any = SAMPLES, rate: Any = RATE) -> dict[str, Any]:
    return {"waveform": waveform, "sample_rate": rate}


@pytest.mark.parametrize(
    ("audio", "problem", "words"),
    [
        (None, Problem.NO_AUDIO, "got no sound"),
        ("a.wav", Problem.NOT_AUDIO, r"got a str \(a.wav\), expected an AUDIO: a dict with"),
        (3, Problem.NOT_AUDIO, "got 3, expected an AUDIO"),
        (SAMPLES, Problem.NOT_AUDIO, r"got a Tensor of shape \(2, 256\), expected an AUDIO"),
        ([sound()], Problem.NOT_AUDIO, "got a list "),
        ({}, Problem.NOT_AUDIO, rf"got an AUDIO without waveform \(only nothing\), {KEYS}"),
        (
            {"waveform": SAMPLES, "path": 1},
            Problem.NOT_AUDIO,
            rf"got an AUDIO without sample_rate \(only waveform, path\), {KEYS}",
        ),
        (sound(None), Problem.NOT_AUDIO, "got an AUDIO without waveform"),
        (Lazy(sample_rate=RATE), Problem.NOT_AUDIO, "got an AUDIO without waveform"),
        (
            sound(torch.zeros(1, 2, 0)),
            Problem.AUDIO_EMPTY,
            rf"got an empty AUDIO \(shape \(1, 2, 0\): 0 samples\), {EMPTY}",
        ),
        (sound(torch.zeros(0, 2, 9)), Problem.AUDIO_EMPTY, r"\(0, 2, 9\): 0 takes"),
        (sound(torch.zeros(1, 0, 9)), Problem.AUDIO_EMPTY, r"\(1, 0, 9\): 0 channels"),
        (sound(torch.zeros(0)), Problem.AUDIO_EMPTY, r"\(0,\): 0 samples"),
        (sound(np.zeros((1, 0))), Problem.AUDIO_EMPTY, r"\(1, 0\): 0 samples"),
        (sound(torch.tensor(1.0)), Problem.AUDIO_SHAPE, r"a waveform of shape \(\), expected"),
        (sound(torch.zeros(1, 1, 2, 9)), Problem.AUDIO_SHAPE, r"shape \(1, 1, 2, 9\), expected"),
        (sound(torch.zeros(900, 2)), Problem.AUDIO_SHAPE, "900 channels, expected at most 64"),
        (sound([0.0, 0.5]), Problem.AUDIO_SHAPE, f"got a waveform of a list, {TYPES}"),
        (sound("a.wav"), Problem.AUDIO_SHAPE, f"got a waveform of a str, {TYPES}"),
        (sound(torch.zeros(1, 9).long()), Problem.AUDIO_SHAPE, f"of type int64, {TYPES}"),
        (sound(torch.zeros(1, 9).bool()), Problem.AUDIO_SHAPE, f"of type bool, {TYPES}"),
        (sound(torch.zeros(1, 9) * 1j), Problem.AUDIO_SHAPE, f"of type complex64, {TYPES}"),
        (sound(torch.zeros(1, 9).to_sparse()), Problem.AUDIO_SHAPE, "of layout torch.sparse_coo"),
        (sound(torch.zeros(1, 9, device="meta")), Problem.AUDIO_SHAPE, "strided on meta, expected"),
        (sound(np.zeros((1, 9), np.int64)), Problem.AUDIO_SHAPE, f"of type int64, {TYPES}"),
        (sound(np.array([None])), Problem.AUDIO_SHAPE, f"of type object, {TYPES}"),
        (sound(rate=0), Problem.AUDIO_RATE, f"got 0 {HZ}"),
        (sound(rate=25.0), Problem.AUDIO_RATE, f"got 25.0 {HZ}"),
        (sound(rate=-44_100), Problem.AUDIO_RATE, f"got -44100 {HZ}"),
        (sound(rate=10**9), Problem.AUDIO_RATE, f"got 1000000000 {HZ}"),
        (sound(rate=float("nan")), Problem.AUDIO_RATE, f"got nan {HZ}"),
        (sound(rate=True), Problem.AUDIO_RATE, f"got True {HZ}"),
        (sound(rate="44100"), Problem.AUDIO_RATE, rf"got a str \(44100\) {HZ}"),
        (sound(rate=torch.ones(1, device="meta")), Problem.AUDIO_RATE, rf"of shape \(1,\) {HZ}"),
        (sound(rate=torch.tensor([1, 2])), Problem.AUDIO_RATE, rf"of shape \(2,\) {HZ}"),
    ],
)
def test_what_is_no_sound(audio: Any, problem: Problem, words: str) -> None:
    with pytest.raises(MediaError, match=words) as error:
        read_audio(audio)
    assert error.value.problem is problem


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_broken_samples_are_found(value: float, dtype: torch.dtype) -> None:
    """When they are used: another take of the batch may be whole."""
    waveforms = torch.zeros(2, 1, 9, dtype=dtype)
    waveforms[1, 0, 4] = value
    audio = read_audio({"waveform": waveforms, "sample_rate": RATE})
    check_finite_samples(audio.waveforms[0])
    with pytest.raises(MediaError, match="with 1 of 9 samples NaN or infinite") as error:
        check_finite_samples(audio.waveforms[1])
    assert error.value.problem is Problem.AUDIO_NOT_FINITE


def test_an_audio_has_three_axes() -> None:
    with pytest.raises(MediaError, match=r"shape \(2, 9\), expected \(batch, channels, samples\)"):
        Audio(waveforms=torch.zeros(2, 9), sample_rate=RATE)
