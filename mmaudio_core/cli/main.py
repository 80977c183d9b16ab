"""The command's entry."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Sequence

from .exit_codes import CANNOT_START, INTERRUPTED, SOME_FAILED, USAGE

_NEEDED = ("torch", "av", "numpy", "safetensors", "tokenizers", "ftfy", "pyloudnorm", "tqdm")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code, see ``--help``."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return _fail(
            f"{', '.join(missing)} not installed: pip install 'mmaudio-native[standalone]'",
            CANNOT_START,
        )
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    from ..errors import MMAudioError
    from .arguments import parser
    from .exit_codes import StartError, UsageError

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
    except KeyboardInterrupt:
        return _fail("interrupted: run the same command again to go on", INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has ended
        return SOME_FAILED


def _fail(message: str, code: int) -> int:
    encoding = sys.stderr.encoding or "utf-8"
    text = f"mmaudio: {message}".encode(encoding, "backslashreplace").decode(encoding)
    sys.stderr.write(text + "\n")
    return code
