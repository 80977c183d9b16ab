"""The whole job: from a video and prompts to audio.

Read it top to bottom; each stage is one call. Networks come from a ``ModelProvider``, so that a
host decides which of them are in memory.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .codec.decode import decode
from .features.text import encode_prompts
from .features.types import Features
from .features.visual import TimeRange, VideoClip, extract_visual_features
from .progress import Progress, no_progress
from .providers import ModelProvider
from .sampling.sample import sample


def generate_audio(
    networks: ModelProvider,
    video: VideoClip | None,
    time_range: TimeRange,
    seeds: Sequence[int],
    *,
    prompt: str = "",
    negative_prompt: str = "",
    steps: int = 25,
    cfg: float = 4.5,
    progress: Progress = no_progress,
) -> Tensor:
    """Generate audio for a video, a still image, or a prompt alone.

    Args:
        networks: provides the five networks.
        video: the input; None for audio from text alone.
        time_range: seconds of it to generate audio for.
        seeds: one per take.
        prompt, negative_prompt: what to generate, and what to avoid.
        steps: number of sampling steps.
        cfg: guidance strength.
        progress: called at least once per block of every network.

    Returns:
        Waveforms (takes, 1, samples), float32 on the CPU, in [-1, 1]. They end with the video,
        even if ``time_range`` asks for more.

    Raises:
        MediaError: the video cannot be read, or is too short.
        NumericsError: a network produced NaN or infinity.
    """
    features = extract_features(networks, video, time_range, prompt, negative_prompt, progress)
    latents = sample(networks, features, seeds, steps=steps, cfg=cfg, progress=progress)
    return decode(networks, latents, features.duration, progress)


def extract_features(
    networks: ModelProvider,
    video: VideoClip | None,
    time_range: TimeRange,
    prompt: str = "",
    negative_prompt: str = "",
    progress: Progress = no_progress,
) -> Features:
    """Visual and text features of one job."""
    visual = extract_visual_features(networks, video, time_range, progress)
    text = encode_prompts(networks, prompt, negative_prompt, progress)
    return Features.join(visual.features, text)
