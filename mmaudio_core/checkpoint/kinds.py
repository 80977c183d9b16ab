"""The networks: five make up a complete model, one more judges what it makes."""

from __future__ import annotations

from enum import Enum


class PartKind(str, Enum):
    """One of the networks. Values are stable identifiers; titles are for messages."""

    FLOW = "flow"
    VAE = "vae"
    VOCODER = "vocoder"
    CLIP = "clip"
    SYNCHFORMER = "synchformer"
    SYNC_HEAD = "sync_head"

    @property
    def title(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _TITLES[self]


_TITLES = {
    PartKind.FLOW: "flow network",
    PartKind.VAE: "VAE",
    PartKind.VOCODER: "vocoder",
    PartKind.CLIP: "CLIP model",
    PartKind.SYNCHFORMER: "Synchformer",
    PartKind.SYNC_HEAD: "synchronisation head",
}
MODEL_PARTS = tuple(kind for kind in PartKind if kind is not PartKind.SYNC_HEAD)
"""What a complete model needs. The synchronisation head is in Synchformer's published file, but not
in every copy of it."""
