"""Inputs that several nodes have."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .types import MMAudio, VideoInfo

FRAME_RATE, MIN_FRAME_RATE, MAX_FRAME_RATE = 25.0, 0.01, 1000.0
ADVANCED = {"advanced": True}  # as extra_dict: folded behind "Show advanced inputs"


def mmaudio(tooltip: str = "From Load MMAudio Model.") -> io.Input:
    """The networks of a model."""
    return MMAudio.Input("mmaudio", tooltip=tooltip)


def patchable_model() -> io.Model.Input:
    """The flow network as a MODEL."""
    return io.Model.Input("model", tooltip="From Load MMAudio Model, patched or not.")


def seconds(name: str, default: float, tooltip: str, *, optional: bool = False) -> io.Float.Input:
    """A time or a length, 0 to 600 s."""
    return io.Float.Input(
        name,
        default=default,
        min=0.0,
        max=600.0,
        step=0.01,
        optional=optional,
        tooltip=tooltip,
    )


def sound_start() -> io.Float.Input:
    """Where in a picture a sound starts, -600 to 600 s."""
    return io.Float.Input(
        "start_offset",
        default=0.0,
        min=-600.0,
        max=600.0,
        step=0.01,
        optional=True,
        tooltip=(
            "Where in the picture the sound starts, in seconds. Below 0, that much of the sound's "
            "beginning is left out."
        ),
    )


def frame_rate() -> io.Float.Input:
    """The rate of an IMAGE batch."""
    return io.Float.Input(
        "frame_rate",
        default=FRAME_RATE,
        min=MIN_FRAME_RATE,
        max=MAX_FRAME_RATE,
        step=0.001,
        optional=True,
        tooltip="Frames per second of images. A video has its own rate.",
    )


def steps() -> io.Int.Input:
    """Number of sampling steps."""
    return io.Int.Input(
        "steps", default=25, min=1, max=200, tooltip="More steps are slower and more exact."
    )


def denoise(*, optional: bool = False, extra_dict: dict[str, Any] | None = None) -> io.Float.Input:
    """How much of a latent is generated anew."""
    return io.Float.Input(
        "denoise",
        default=1.0,
        min=0.0,
        max=1.0,
        step=0.01,
        optional=optional,
        tooltip="How much of the latent to generate anew. 1: all of it.",
        extra_dict=extra_dict,
    )


def video_info() -> io.Input:
    """The rate of an IMAGE batch that VideoHelperSuite loaded."""
    return VideoInfo.Input(
        "video_info",
        optional=True,
        tooltip="From VideoHelperSuite's Load Video; replaces frame_rate.",
    )
