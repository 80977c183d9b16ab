"""Sound onto a picture: a file's own, packets untouched, or one encoded from images."""

from __future__ import annotations

from .copy import mux_audio
from .encode import encode_images
from .result import MuxResult

__all__ = ["MuxResult", "encode_images", "mux_audio"]
