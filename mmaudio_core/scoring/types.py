"""What is measured of a take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

Offsets = tuple[tuple[float, float], ...]
"""For each window: its middle in seconds, and by how many seconds the sound is late there."""


@dataclass(frozen=True, kw_only=True)
class TakeScores:
    """Measurements of one take. None: not measured, which is not the same as 0.

    Attributes:
        desync: mean distance of sound and picture in seconds, by Synchformer's synchronisation
            head (the published DeSync score); 0 is best.
        sync_offset: seconds by which the sound is late (below 0: early), by the same head.
        agreement: by which share picture and prompt lower the flow network's error on this sound;
            higher is better, 0 or less means they explain nothing of it.
        onset_match: peak of the normalized cross-correlation of onsets and motion, in [-1, 1].
        onset_offset: seconds by which the sound is late (below 0: early), at that peak.
        voice: share of the take, in [0, 1], in which a voice is heard.
        silence: share of the take, in [0, 1], that is silent.
        clipping: share of the samples, in [0, 1], that are clipped.
        loudness: integrated loudness in LUFS.
        unmeasured: reason, for each of the above that is None.
        sync_offsets: ``sync_offset`` over time; empty if it was not measured.
        onset_offsets: ``onset_offset`` over time, where onsets and motion match.
    """

    desync: float | None = None
    sync_offset: float | None = None
    agreement: float | None = None
    onset_match: float | None = None
    onset_offset: float | None = None
    voice: float | None = None
    silence: float | None = None
    clipping: float | None = None
    loudness: float | None = None
    unmeasured: Mapping[str, str] = field(default_factory=dict[str, str])
    sync_offsets: Offsets = ()
    onset_offsets: Offsets = ()

    def values(self) -> dict[str, float | None]:
        """Every measurement by its name, which is JSON."""
        return {name: getattr(self, name) for name in SCORES}


SCORES: tuple[str, ...] = tuple(entry.name for entry in fields(TakeScores) if entry.default is None)
"""Names of the measurements."""
