"""Writing a video with new audio; the video stream is copied if possible, else encoded."""

from __future__ import annotations

from .options import AudioOptions, FileOptions
from .output_name import NumberedName
from .write import MuxResult, mux_audio

__all__ = ["AudioOptions", "FileOptions", "MuxResult", "NumberedName", "mux_audio"]
