"""What the command ends with."""

from __future__ import annotations

from ..errors import MMAudioError

DONE, SOME_FAILED, USAGE, CANNOT_START, INTERRUPTED = 0, 1, 2, 3, 130


class UsageError(MMAudioError):
    """Arguments, sources or a manifest that cannot be used."""


class StartError(MMAudioError):
    """Weights or a device that are not there."""
