"""The five networks that make up a complete model."""

from __future__ import annotations

from enum import Enum


class PartKind(str, Enum):
    """One of the five networks. Values are stable identifiers; titles are for messages."""

    FLOW = "flow"
    VAE = "vae"
    VOCODER = "vocoder"
    CLIP = "clip"
    SYNCHFORMER = "synchformer"

    @property
    def title(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _TITLES[self]


_TITLES = {
    PartKind.FLOW: "flow network",
    PartKind.VAE: "VAE",
    PartKind.VOCODER: "vocoder",
    PartKind.CLIP: "CLIP model",
    PartKind.SYNCHFORMER: "Synchformer",
}
