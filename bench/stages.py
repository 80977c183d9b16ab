"""The stages that are timed, and which of them share a process."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum


class Stage(str, Enum):
    """A part of a job; its value is its name on the command line and in the results."""

    MEDIA = "media"  # video file to the frames of both encoders
    CLIP = "clip"  # frames to CLIP features
    SYNCHFORMER = "synchformer"  # frames to sync features
    CONDITIONS = "conditions"  # prompts to text features, all features to the flow's conditions
    SAMPLER = "sampler"  # noise to latents
    VAE = "vae"  # latents to mel spectrogram
    VOCODER = "vocoder"  # mel spectrogram to waveform
    MUX = "mux"  # waveform and video file to a video file with sound
    TOTAL = "total"  # a whole job, from a video file to a video file with sound


PARTS = tuple(stage for stage in Stage if stage is not Stage.TOTAL)
"""The stages of a job, in order."""

# A process loads only what its stages need, so that both implementations fit into memory together
# and the peak while reading a video is not that of the weights.
_PHASES = (
    (Stage.MEDIA, Stage.MUX),
    (Stage.CLIP, Stage.SYNCHFORMER),
    (Stage.CONDITIONS, Stage.SAMPLER),
    (Stage.VAE, Stage.VOCODER),
    (Stage.TOTAL,),
)


def phases(stages: Collection[Stage]) -> list[tuple[Stage, ...]]:
    """Group ``stages`` by the process they run in."""
    chosen = [tuple(stage for stage in phase if stage in stages) for phase in _PHASES]
    return [phase for phase in chosen if phase]
