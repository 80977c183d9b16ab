"""Sound onto a picture: a file's own, packets untouched, or one encoded from images."""

from __future__ import annotations

from mmaudio_core.mux.copy import mux_audio
from mmaudio_core.mux.encode import encode_images
from mmaudio_core.mux.result import MuxResult

__all__ = ["MuxResult", "encode_images", "mux_audio"]
