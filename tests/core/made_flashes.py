"""Films that flash at known frames, and click tracks of known impulses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

FRAMES = (20, 33, 58, 71, 103, 121, 139, 170)
"""Of a film of ``SECONDS`` at 25 a second: flashes at no regular distance."""
SECONDS = 8


def write_flashes(
    path: Path, frames: Iterable[int] = FRAMES, seconds: float = SECONDS, rate: int = 25
) -> Path:
    """Encode a dark film that is bright for two frames, from each of ``frames`` on."""
    bright = {frame + more for frame in frames for more in (0, 1)}
    pictures = [np.full((96, 96, 3), level, np.uint8) for level in (30, 220)]
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width = stream.height = 96
        stream.pix_fmt = "yuv420p"
        for number in range(round(seconds * rate)):
            picture = av.VideoFrame.from_ndarray(pictures[number in bright], "rgb24")
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path


def clicks(
    times: Sequence[float], rate: int = 16_000, seconds: float = SECONDS, noise: float = 0.002
) -> Tensor:
    """(1, T) samples of noise, with an impulse at each of ``times``."""
    draw = torch.Generator().manual_seed(0)
    sound = noise * torch.randn(1, round(seconds * rate), generator=draw)
    for time in times:
        sound[0, round(time * rate)] += 0.8
    return sound
