"""Writing a video with new audio (the video stream is copied if possible), or audio alone."""

from __future__ import annotations

from .options import AudioOptions, FileOptions
from .output_name import NumberedName
from .sound_file import SoundResult, write_sound
from .write import MuxResult, mux_audio

__all__ = [
    "AudioOptions",
    "FileOptions",
    "MuxResult",
    "NumberedName",
    "SoundResult",
    "mux_audio",
    "write_sound",
]
