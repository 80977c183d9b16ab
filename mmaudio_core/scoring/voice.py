"""Voices in a take: how much of it, and where, by Silero's voice activity detector.

It listens to the take with what is steady in it lowered (spectral subtraction; S. Boll, 1979), for
it hears a voice in noise no louder than the voice only.

The package ``silero-vad`` brings the weights; it is optional. It is not imported, only its file of
weights is read: importing it sets torch to a single thread for the whole process.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from ..audio.channels import mix_to_mono
from ..audio.resample import resample
from ..models.silero_vad import FRAME, SAMPLE_RATE, SileroVAD

INSTALL = "install silero-vad 6.2.1 or later"
"""Reason why nothing is measured without the package, or with one without the file."""
_PACKAGE = "silero_vad"
_WEIGHTS = Path("data", "silero_vad_16k.safetensors")
# A voice begins where the probability exceeds the first and ends where it stays below the second.
_ON, _OFF = 0.5, 0.35
# Seconds.
_LONGEST_PAUSE = 0.1  # within a voice
_SHORTEST_VOICE = 0.25
_MARGIN = 0.03  # before and after, where the voice rises and fades
# What is steady: the median power of each frequency over a time, in which a voice pauses.
_FFT, _HOP = 512, 128  # samples
_SMOOTH = 9  # spectra, 72 ms
_AROUND = 4.0  # seconds before and after
_SUBTRACTED = 1.5  # times the median
_FLOOR = 0.1  # gain of what is steady


@dataclass(frozen=True, kw_only=True)
class VoiceResult:
    """Voices of a take.

    Attributes:
        share: of the take, in [0, 1], in which a voice is heard; None if it was not measured.
        intervals: begin and end of each voice in seconds, in order, none of which overlap.
        reason: why it was not measured; empty if it was.
    """

    share: float | None
    intervals: tuple[tuple[float, float], ...] = ()
    reason: str = ""


def find_voice(waveform: Tensor, sample_rate: int) -> VoiceResult:
    """Find voices in a take.

    Args:
        waveform: (C, T) finite samples.
        sample_rate: in Hz.
    """
    weights = _find_weights()
    if weights is None:
        return VoiceResult(share=None, reason=INSTALL)
    try:
        network = _load(weights)
    except (OSError, SafetensorError, RuntimeError):
        reason = f"silero-vad's {weights.name} is damaged or of another version: install it again"
        return VoiceResult(share=None, reason=reason)
    mono = resample(mix_to_mono(waveform)[None], sample_rate, SAMPLE_RATE)
    with torch.inference_mode():
        probabilities = network(lower_steady(mono))[0]
    seconds = waveform.shape[1] / sample_rate
    intervals = find_intervals(probabilities.tolist(), seconds)
    share = sum(end - begin for begin, end in intervals) / seconds
    return VoiceResult(share=share, intervals=intervals)


def lower_steady(mono: Tensor) -> Tensor:
    """Lower what is steady in (takes, T) samples at 16 kHz, such as rain, wind and engines."""
    window = torch.hann_window(_FFT)
    padded = F.pad(mono, (0, max(0, _FFT - mono.shape[1])))
    spectra = torch.stft(padded, _FFT, _HOP, window=window, return_complex=True)
    power = F.avg_pool1d(spectra.abs().square(), _SMOOTH, 1, _SMOOTH // 2)
    gain = (1 - _SUBTRACTED * _steady_power(power) / power.clamp(min=1e-12)).clamp(min=_FLOOR**2)
    spectra *= gain.sqrt()
    lowered = torch.istft(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        spectra, _FFT, _HOP, window=window, length=padded.shape[1]
    )
    return cast(Tensor, lowered)[:, : mono.shape[1]]


def _steady_power(power: Tensor) -> Tensor:
    """The median of (takes, bins, n) power around each time, exact once a second."""
    count = power.shape[2]
    second = SAMPLE_RATE // _HOP
    around = round(_AROUND * second)
    steps = max(1, math.ceil(count / second))
    middles = [round(step * (count - 1) / steps) for step in range(steps + 1)]
    medians = [
        power[..., max(0, middle - around) : middle + around + 1].median(dim=2).values
        for middle in middles
    ]
    return F.interpolate(torch.stack(medians, dim=2), count, mode="linear", align_corners=True)


def find_intervals(
    probabilities: Iterable[float], seconds: float
) -> tuple[tuple[float, float], ...]:
    """Begin and end of each voice, in seconds.

    Args:
        probabilities: one per frame of ``FRAME`` samples.
        seconds: length of the take.
    """
    voices: list[tuple[float, float]] = []
    begin: float | None = None  # of the present voice
    end = 0.0  # of its last frame so far that had a voice
    for number, probability in enumerate(probabilities):
        time = number * FRAME / SAMPLE_RATE
        if begin is not None and probability < _OFF and time >= end + _LONGEST_PAUSE:
            voices.append((begin, end))
            begin = None
        if begin is None and probability > _ON:
            begin = time
        if begin is not None and probability >= _OFF:
            end = time + FRAME / SAMPLE_RATE
    if begin is not None:
        voices.append((begin, end))
    return tuple(
        (max(0.0, begin - _MARGIN), min(seconds, end + _MARGIN))
        for begin, end in voices
        if end - begin >= _SHORTEST_VOICE
    )


def _find_weights() -> Path | None:
    """The package's file of weights, found without importing the package; None without it."""
    spec = find_spec(_PACKAGE)
    folders = () if spec is None else spec.submodule_search_locations or ()
    return next((path for folder in folders if (path := Path(folder) / _WEIGHTS).is_file()), None)


def _load(weights: Path) -> SileroVAD:
    with torch.device("meta"):  # draws no random numbers
        network = SileroVAD()
    network.load_state_dict(load_file(weights), assign=True)
    return network.eval()
