"""Tones of known level, files that hold them, and what a file's sound measures."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

RATE = 48000


def tone(seconds: float, hertz: float, level: float, rate: int = RATE) -> Tensor:
    """A sine (1, T) of an RMS level in dBFS."""
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    wave = torch.sin(2 * torch.pi * hertz * time) * math.sqrt(2) * 10 ** (level / 20)
    return wave.float()[None]


def decibels(samples: Tensor) -> float:
    """RMS level in dBFS."""
    return 10 * math.log10(max(1e-12, float(samples.double().square().mean())))


def level_at(samples: Tensor, seconds: float, rate: int = RATE) -> float:
    """RMS level of the 20 ms around a time."""
    middle, reach = round(seconds * rate), rate // 100
    return decibels(samples[:, max(0, middle - reach) : middle + reach])


def band(samples: Tensor, hertz: float, rate: int = RATE) -> float:
    """RMS level of one frequency in (T,) samples."""
    time = torch.arange(len(samples), dtype=torch.float64) / rate
    window = torch.hann_window(len(samples), dtype=torch.float64)
    part = (samples * window * torch.exp(-2j * torch.pi * hertz * time)).sum() / window.sum()
    return 20 * math.log10(max(1e-6, float(part.abs()) * math.sqrt(2)))


def heard(path: Path, track: int = 0) -> tuple[Tensor, int]:
    """A sound track (C, T) as it is decoded, float, and its rate."""
    with av.open(path) as container:
        stream = container.streams.audio[track]
        # interleaved: PyAV cannot read frames of more than seven planes
        resampler = av.AudioResampler(format="flt", layout=stream.layout, rate=stream.rate)
        pieces = [
            piece.to_ndarray().reshape(-1, len(piece.layout.channels)).T
            for frame in [*container.decode(stream), None]
            for piece in resampler.resample(frame)
        ]
        return torch.from_numpy(np.concatenate(pieces, 1)), stream.rate


def with_sound(
    silent: Path,
    target: Path,
    waveform: Tensor,
    rate: int,
    *,
    codec: str = "flac",
    layout: str | None = None,
    offset: Fraction = Fraction(0),
) -> Path:
    """A film: the picture of one file, and a sound track that begins ``offset`` later."""
    layout = layout or ("mono" if len(waveform) == 1 else "stereo")
    with av.open(silent) as source, av.open(target, "w") as output:
        picture = output.add_stream_from_template(source.streams.video[0], opaque=True)
        stream = output.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate)
        interleaved = np.ascontiguousarray(waveform.T.numpy()).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, "flt", layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(offset * rate)
        for given in resampler.resample(frame):
            output.mux(stream.encode(given))
        output.mux(stream.encode(None))
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = picture
                output.mux(packet)
    return target
