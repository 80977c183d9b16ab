"""The stages that are timed, and which of them share a process."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum


class Stage(str, Enum):
    """A part of the job; its value is its name on the command line and in the figures."""

    MEDIA = "media"  # a video file to the frames of both encoders
    CLIP = "clip"  # frames to features
    SYNCHFORMER = "synchformer"
    CONDITIONS = "conditions"  # prompts to text features, all features to the flow's conditions
    SAMPLER = "sampler"  # noise to latents
    VAE = "vae"  # latents to mel
    VOCODER = "vocoder"  # mel to waveform
    MUX = "mux"  # waveform and video file to a video file with sound
    TOTAL = "total"  # a whole job, from a video file to a video file with sound


PARTS = tuple(stage for stage in Stage if stage is not Stage.TOTAL)
"""What a job consists of, in order."""

KIJAI_STAGES = (Stage.CLIP, Stage.SYNCHFORMER)
"""What is compared with kijai's nodes, which have their own way in these only."""

# A process holds only what its stages need: both sides together must fit into the memory, and
# the peak of reading a video must not be that of the weights.
_PHASES = (
    (Stage.MEDIA, Stage.MUX),
    (Stage.CLIP, Stage.SYNCHFORMER),
    (Stage.CONDITIONS, Stage.SAMPLER),
    (Stage.VAE, Stage.VOCODER),
    (Stage.TOTAL,),
)


def phases(stages: Sequence[Stage]) -> list[tuple[Stage, ...]]:
    """The chosen stages by the process they run in."""
    chosen = [tuple(stage for stage in phase if stage in stages) for phase in _PHASES]
    return [phase for phase in chosen if phase]
