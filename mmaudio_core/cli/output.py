"""Lines on stdout and stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext, redirect_stdout, suppress
from typing import Any, TextIO

from .exit_codes import SOME_FAILED, Stopped

_STDERR = 2


def as_json(value: Mapping[str, Any]) -> str:
    """A line for programs: ASCII, whatever the names of files are."""
    return json.dumps(value)


def write_line(text: str, stream: TextIO | None = None) -> None:
    """Write a line above the bars; what the stream cannot show is escaped.

    Args:
        text: without the end of the line.
        stream: stdout if none is given.

    Raises:
        Stopped: whoever read our output has ended, or the disk that it goes to is full.
    """
    from tqdm import tqdm

    to = sys.stdout if stream is None else stream
    encoding = getattr(to, "encoding", None) or "utf-8"
    try:
        # on a terminal tqdm moves its bars out of the way of sys.stdout and sys.stderr only
        with redirect_stdout(to) if to.isatty() and to is not sys.stderr else nullcontext():
            tqdm.write(text.encode(encoding, "backslashreplace").decode(encoding), file=to)
        to.flush()
    except OSError as error:
        _discard(to)
        raise Stopped(f"nobody takes the output ({error.strerror})", SOME_FAILED) from None


def open_closed_streams() -> None:
    """Let a process that was started without stdout or stderr write to nowhere.

    Else the next file to be opened would be what libraries take for stderr.
    """
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        continue
    os.close(nowhere)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _discard(stream: TextIO) -> None:
    """Let what the stream still holds go nowhere, or Python would try to write it at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
