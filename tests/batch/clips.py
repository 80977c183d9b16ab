"""Short clips and tiny networks for batches."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import torch

from mmaudio_core.batch.batches import Batch
from mmaudio_core.batch.decode import decode_item
from mmaudio_core.batch.generate import generate
from mmaudio_core.batch.item import Item
from mmaudio_core.batch.options import ItemOptions
from mmaudio_core.batch.sidecar import RunFacts
from mmaudio_core.batch.stages import GeneratedSound
from tests.core.small import MemoryNetworks

QUICK = ItemOptions(steps=2, duration=Fraction(1))
RUN = RunFacts(model="tiny", weights={"flow": "0"}, precision={"flow": "float32"}, device="cpu")


@lru_cache
def networks() -> MemoryNetworks:
    """Five tiny networks, and a feature cache that holds nothing."""
    return MemoryNetworks()


def clip(path: Path, *, seconds: float = 1.2, seed: int = 0) -> Path:
    """A video at 25 frames per second; another ``seed`` shows other pictures."""
    draw = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(round(seconds * 25)):
            picture = np.repeat(np.repeat(draw.integers(0, 255, (6, 8, 3)), 8, 0), 8, 1)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), "rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def item(video: Path | None, out: str, options: ItemOptions = QUICK) -> Item:
    return Item(video=None if video is None else str(video), out=out, options=options)


def sounds(*items: Item, places: tuple[int, ...] | None = None) -> dict[int, torch.Tensor]:
    """Waveforms of the items at some places of the batch of all of them."""
    batch = Batch(items=items)
    chosen = range(len(items)) if places is None else places
    found = generate(networks(), batch, {p: decode_item(items[p]) for p in chosen})
    result: dict[int, torch.Tensor] = {}
    for place, sound in found.items():
        assert isinstance(sound, GeneratedSound), sound
        result[place] = sound.waveforms
    return result
