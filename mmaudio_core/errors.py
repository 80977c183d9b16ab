"""What the core raises at its boundary.

All of them are ``ValueError``: the caller gave something that cannot be used. Each message says
what was got, what was expected and what to do next.
"""

from __future__ import annotations


class MMAudioError(ValueError):
    """Base of every error this package raises on purpose."""


class MediaError(MMAudioError):
    """A video, image batch or waveform that cannot be read, or a file that cannot be written."""


class CheckpointError(MMAudioError):
    """A weights file that is missing, damaged, or not the network that was asked for."""


class NumericsError(MMAudioError):
    """NaN or infinity came out of a stage."""
