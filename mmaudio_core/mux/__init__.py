"""Sound onto a picture: a file's own, packets untouched, or one that is encoded."""

from __future__ import annotations

from .atomic_output import MuxResult
from .encode import encode_images, encode_video
from .options import AUDIO_CODECS, CONTAINERS, ORIGINALS, AudioOptions, FileOptions
from .passthrough import mux_audio

__all__ = [
    "AUDIO_CODECS",
    "CONTAINERS",
    "ORIGINALS",
    "AudioOptions",
    "FileOptions",
    "MuxResult",
    "encode_images",
    "encode_video",
    "mux_audio",
]
