"""Errors raised at the core's boundary.

All of them are ``ValueError``: the caller passed something that cannot be used. A message says
what was got and what was expected. Where the cure depends on the caller's own controls, the error
carries a ``Problem`` and the caller words the cure.
"""

from __future__ import annotations

from enum import Enum
from typing import cast


class Problem(str, Enum):
    """Faults whose cure is a setting of the caller's, such as a command-line option or a widget."""

    NO_AUDIO = "no_audio"
    NOT_AUDIO = "not_audio"
    AUDIO_EMPTY = "audio_empty"
    AUDIO_SHAPE = "audio_shape"
    AUDIO_NOT_FINITE = "audio_not_finite"
    AUDIO_RATE = "audio_rate"
    AUDIO_PAST_END = "audio_past_end"
    AUDIO_LEFT_OUT = "audio_left_out"
    SOURCE_AUDIO = "source_audio"
    MIX_NOT_FINITE = "mix_not_finite"
    OPTION = "option"
    IMAGE_SHAPE = "image_shape"
    IMAGE_NOT_FINITE = "image_not_finite"
    FRAME_RATE = "frame_rate"
    MASK = "mask"
    START_PAST_END = "start_past_end"
    DURATION_TOO_SHORT = "duration_too_short"
    VIDEO_TOO_SHORT = "video_too_short"
    NO_DURATION = "no_duration"
    FEATURE_WIDTH = "feature_width"
    SCHEDULED_TWICE = "scheduled_twice"
    SCHEDULE = "schedule"
    WINDOWS = "windows"
    REGION = "region"
    LATENT = "latent"
    LABELS = "labels"
    NUMERICS = "numerics"
    MISSING_WEIGHTS = "missing_weights"
    WRONG_WEIGHTS = "wrong_weights"
    WRONG_PART = "wrong_part"
    WRONG_LORA = "wrong_lora"
    LORA_NOT_FINITE = "lora_not_finite"


class MMAudioError(ValueError):
    """Base of every error this package raises on purpose.

    Attributes:
        problem: what the caller may word a cure for; None where the message says all there is.
    """

    def __init__(self, message: str, problem: Problem | None = None) -> None:
        # A file name that is no text has surrogates, over which ComfyUI stops to send events.
        super().__init__(message.encode(errors="backslashreplace").decode())
        self.problem = problem


class MediaError(MMAudioError):
    """A video, image batch or waveform that cannot be read, or a file that cannot be written."""


class CheckpointError(MMAudioError):
    """A weights file that is missing, damaged, or does not hold the expected network."""

    def __init__(self, message: str, problem: Problem = Problem.WRONG_WEIGHTS) -> None:
        super().__init__(message, problem)


class NumericsError(MMAudioError):
    """NaN or infinity came out of a stage."""


def describe(value: object) -> str:
    """A value of the wrong kind in a few words: ``a dict ('{'a': 1}')``."""
    if value is None or isinstance(value, (bool, int, float)):
        return f"{value}"
    kind = type(value).__name__
    shape: object = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return f"a {kind} of shape {tuple(cast(tuple[int, ...], shape))}"
    return f"a {kind} ({str(value)[:40]})"
