"""The command's entry."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from .exit_codes import CANNOT_START, INTERRUPTED, OF_SIGNALS, SOME_FAILED, USAGE, Stopped
from .output import open_closed_streams, write_line

_NEEDED = ("torch", "av", "numpy", "safetensors", "tokenizers", "ftfy", "pyloudnorm", "tqdm")
_SIGNALS = ("SIGTERM", "SIGHUP", "SIGBREAK")
"""That end a process which does not say otherwise; schedulers and closed terminals send them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code, see ``--help``."""
    open_closed_streams()
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"mmaudio: {', '.join(missing)} not installed: pip install "
            "'mmaudio-native[standalone]'\n"
        )
        return CANNOT_START
    try:
        with _stopped_by_signals():
            return _run(arguments)
    except Stopped as stopped:
        return _fail(f"{stopped}: run the same command again to go on", stopped.code)
    except KeyboardInterrupt:
        return _fail("interrupted: run the same command again to go on", INTERRUPTED)


def _run(arguments: Sequence[str] | None) -> int:
    import logging

    from ..errors import MMAudioError
    from .arguments import parser
    from .exit_codes import StartError, UsageError

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        given = parser().parse_args(arguments)
        if given.command == "sound":
            from .sound import sound

            return sound(given)
        if given.command == "score":
            from .score import score

            return score(given)
        from .inspect import inspect

        return inspect(given)
    except UsageError as error:
        return _fail(str(error), USAGE)
    except StartError as error:
        return _fail(str(error), CANNOT_START)
    except MMAudioError as error:
        return _fail(str(error), SOME_FAILED)


def _fail(message: str, code: int) -> int:
    with suppress(Stopped):  # the code tells it
        write_line(f"mmaudio: {message}", sys.stderr)
    return code


@contextmanager
def _stopped_by_signals() -> Generator[None, None, None]:
    """Raise ``Stopped`` when a signal comes that would have ended the process."""

    def stop(number: int, frame: Any) -> None:
        raise Stopped(f"ended by {signal.Signals(number).name}", OF_SIGNALS + number)

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) is signal.SIG_DFL}
    for number in before:  # not those that nohup has told us to ignore
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
