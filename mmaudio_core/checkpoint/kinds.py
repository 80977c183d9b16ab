"""The five parts a complete MMAudio model consists of."""

from __future__ import annotations

from enum import Enum


class PartKind(str, Enum):
    """One of the five networks; its value is short and stable, its title is for people."""

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
