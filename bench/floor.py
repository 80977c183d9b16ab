"""The least that reading and muxing a video take: what libav itself needs, with nothing around it.

There are no matrix products to count in these stages; libav, as PyAV brings it, is their limit.
"""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from torch import Tensor

_RUNS = 3
_BLOCK = 1024  # samples


def media_seconds(video: Path, duration: Fraction) -> float:
    """Decoding, on all cores, without looking at what comes out; the best of three runs."""
    return min(_decode(video, duration) for _ in range(_RUNS))


def mux_seconds(video: Path, waveform: Tensor, rate: int, target: Path) -> float:
    """Copying the picture's packets and encoding the sound as AAC; the best of three runs."""
    samples = waveform.numpy().astype(np.float32)
    return min(_copy(video, samples, rate, target) for _ in range(_RUNS))


def _decode(video: Path, duration: Fraction) -> float:
    started = time.perf_counter()
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            if frame.time is not None and frame.time >= duration:
                break
    return time.perf_counter() - started


def _copy(video: Path, samples: np.ndarray, rate: int, target: Path) -> float:
    started = time.perf_counter()
    with av.open(str(video)) as source, av.open(str(target), "w") as output:
        stream = source.streams.video[0]
        picture = output.add_stream_from_template(stream)
        sound = output.add_stream("aac", rate=rate, layout="mono")
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = picture
                output.mux(packet)
        for first in range(0, samples.shape[1], _BLOCK):
            block = np.ascontiguousarray(samples[:, first : first + _BLOCK])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, first
            output.mux(sound.encode(frame))
        output.mux(sound.encode())
    return time.perf_counter() - started
