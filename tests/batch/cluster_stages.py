"""Stages that the workers of a cluster import, for tests: some of them end their process."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch

from mmaudio_core.batch.batches import Batch
from mmaudio_core.batch.cluster.work import Generate
from mmaudio_core.batch.item import Item
from mmaudio_core.batch.sidecar import Sidecar
from mmaudio_core.batch.stages import DecodedItem, Failure, GeneratedSound


@dataclass(frozen=True)
class Trail:
    """A folder with a line for each time that a stage began an item."""

    folder: Path

    def add(self, stage: str, item: Item, more: int = 0) -> None:
        with (self.folder / f"{stage}_{item.out}").open("a") as file:
            file.write(f"{more}\n")

    def lines(self, stage: str, item: Item) -> list[str]:
        path = self.folder / f"{stage}_{item.out}"
        return path.read_text().split() if path.exists() else []


@dataclass(frozen=True)
class Decode:
    """Fails for some items."""

    bad: frozenset[str] = frozenset()

    def __call__(self, item: Item) -> DecodedItem:
        if item.out in self.bad:
            raise ValueError("no such picture")
        return DecodedItem(requested=Fraction(1), duration=Fraction(1))


@dataclass(frozen=True)
class MakeGenerate:
    """Ends its process for some items, be it ``times`` times only."""

    trail: Trail
    crashing: Mapping[str, int]

    def __call__(self) -> Generate:
        return self._generate

    def _generate(
        self, batch: Batch, decoded: Mapping[int, DecodedItem]
    ) -> dict[int, GeneratedSound | Failure]:
        items = [batch.items[place] for place in decoded]
        for item in items:
            self.trail.add("generate", item, len(items))
        for item in items:
            if len(self.trail.lines("generate", item)) <= self.crashing.get(item.out, 0):
                os.kill(os.getpid(), signal.SIGKILL)
        return {
            place: GeneratedSound(waveforms=torch.zeros(1, 1, 16), sample_rate=16000, seeds=(0,))
            for place in decoded
        }


@dataclass(frozen=True)
class Write:
    """Writes nothing; the sidecar's digest is the item's name."""

    trail: Trail

    def __call__(self, item: Item, sound: GeneratedSound) -> Sidecar:
        self.trail.add("write", item)
        return Sidecar(digest=item.out, files=())
