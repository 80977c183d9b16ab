"""Small videos in the input folder of the running ComfyUI."""

from __future__ import annotations

import pytest

from dev.server import ComfyServer
from tests.core.made_videos import steady, write_video


@pytest.fixture(scope="session")
def clip(comfy: ComfyServer) -> str:
    """Two silent seconds, 25 frames a second, 96 x 96."""
    write_video(comfy.input / "clip.mp4", steady(50, 25))
    return "clip.mp4"


@pytest.fixture(scope="session")
def clip_with_sound(comfy: ComfyServer) -> str:
    """The same picture with a track of its own: a second of silence."""
    write_video(comfy.input / "clip_with_sound.mp4", steady(50, 25), sound=True)
    return "clip_with_sound.mp4"
