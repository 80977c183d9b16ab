"""What MMAudioFeatureExtract and its deprecated parts have in common."""

from __future__ import annotations

from typing import Any

from ..mmaudio_core.features.types import Features
from ..mmaudio_core.features.visual import (
    TimeRange,
    VideoClip,
    VisualResult,
    extract_visual_features,
)
from .conditioning import to_conditioning
from .feedback import NodeProgress
from .latents import empty_latent
from .model_manager import ComfyModels


def extract_visual(
    models: ComfyModels, clip: VideoClip | None, time_range: TimeRange, progress: NodeProgress
) -> VisualResult:
    """Visual features; frames are decoded in a thread while a GPU encodes."""
    return extract_visual_features(
        models, clip, time_range, progress, prefetch_frames=models.encoders_on_gpu
    )


def to_outputs(models: ComfyModels, features: Features) -> tuple[Any, ...]:
    """``features``, both branches of guidance and an empty latent of their length."""
    latent = empty_latent(features.duration, models.params.audio)
    return (features, *to_conditioning(features), latent)
