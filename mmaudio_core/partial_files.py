"""Hidden files that hold output until it is whole, and what killed processes left of them."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, which deletes no file that is open
    fcntl = None

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_NAME = re.compile(r"\.mmaudio-(?:([0-9a-f]{8})-)?[0-9a-f]{32}\.tmp")
NEW_SECONDS = 5.0
"""Seconds within which the process that made a file locks it."""
_ABANDONED_AFTER = 24 * 60 * 60
"""Seconds without a change after which nobody writes to a file that cannot be locked from here."""
_MAX_ENTRIES = 500_000


@contextmanager
def partial_file(folder: Path) -> Generator[Path, None, None]:
    """The path of a hidden file in ``folder``, deleted when the context ends.

    It is locked for as long as the process lives, so that others know that it is in use. What a
    killed process left in the folder is deleted.

    Raises:
        OSError: the file cannot be created.
    """
    for name in _names(folder):
        delete_if_abandoned(folder / name)
    # A short name: the final one may already be as long as the file system allows.
    path = folder / f".mmaudio-{_HOST}-{uuid.uuid4().hex}.tmp"
    held = path.open("xb")
    try:
        if fcntl is None:
            held.close()
        else:
            with suppress(OSError):  # a file system without locks: then its age decides
                fcntl.flock(held, fcntl.LOCK_EX)
        yield path
    finally:
        held.close()
        with suppress(OSError):  # the first error counts
            path.unlink(missing_ok=True)


def delete_abandoned(folder: Path) -> int:
    """Delete the partial files of ended processes, in ``folder`` and all folders below it.

    Links are not followed, and after half a million files it stops.

    Returns:
        How many were deleted.
    """
    count = deleted = 0
    for path, _, files in os.walk(folder):
        count += 1 + len(files)
        if count > _MAX_ENTRIES:
            break
        deleted += sum(delete_if_abandoned(Path(path, name)) for name in files if _is_ours(name))
    return deleted


def delete_if_abandoned(path: Path) -> bool:
    """Delete a partial file if the process that wrote it has ended; returns whether it has."""
    try:
        age = time.time() - path.lstat().st_mtime
        if age < NEW_SECONDS or not _is_abandoned(path, age):
            return False
        path.unlink()
    except OSError:  # gone, or not ours to delete
        return False
    return True


def _is_abandoned(path: Path, age: float) -> bool:
    found = _NAME.fullmatch(path.name)
    if found is None or found[1] != _HOST:  # of a machine whose locks may not be seen here
        return found is not None and age > _ABANDONED_AFTER
    if fcntl is None:
        return True
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return age > _ABANDONED_AFTER
    return True


def _names(folder: Path) -> Iterator[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if _is_ours(entry.name))


def _is_ours(name: str) -> bool:
    return _NAME.fullmatch(name) is not None
