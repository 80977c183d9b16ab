"""What the command ends with."""

from __future__ import annotations

from ..errors import MMAudioError

DONE, SOME_FAILED, USAGE, CANNOT_START, INTERRUPTED = 0, 1, 2, 3, 130
OF_SIGNALS = 128
"""Plus the number of the signal, as shells have it; 130 is that of Ctrl+C."""


class UsageError(MMAudioError):
    """Arguments, sources or a manifest that cannot be used."""


class StartError(MMAudioError):
    """Weights, a device or a package that are not there."""


class Stopped(KeyboardInterrupt):
    """Something other than Ctrl+C that ends a run as Ctrl+C does: between two steps, cleanly.

    Attributes:
        code: to end with.
    """

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code
