"""Names of output files, claimed so that no other file is overwritten."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HERE, _NO_REPLACE = -100, 1
"""AT_FDCWD and RENAME_NOREPLACE."""
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
"""What kernels and file systems answer that do not know the flag."""


@dataclass(frozen=True, kw_only=True)
class NumberedName:
    """``<prefix>_00001_``, or the next number of which there is no file.

    Attributes:
        folder: where the file goes; it exists.
        first: the number to begin with.
    """

    folder: Path
    prefix: str
    first: int = 1

    def paths(self, suffix: str) -> Iterator[Path]:
        """The names to try, without end."""
        number = self.first
        while True:
            yield self.folder / f"{self.prefix}_{number:05}_.{suffix}"
            number += 1


def publish(partial: Path, target: Path | NumberedName, suffix: str) -> Path:
    """Move a finished file to its final name and return that.

    Args:
        partial: in the folder of the target.
        target: the path without its suffix, which replaces an existing file; or a numbered name,
            which does not, even if several processes count at the same time.

    Raises:
        OSError: the file system refuses.
    """
    if isinstance(target, Path):
        path = target.with_name(f"{target.name}.{suffix}")
        os.replace(partial, path)
        return path
    for path in target.paths(suffix):
        try:
            _move_to_new(partial, path)
        except FileExistsError:
            continue
        return path
    raise AssertionError("the numbers have no end")


def _move_to_new(partial: Path, path: Path) -> None:
    """Raises FileExistsError if there is something at ``path``."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        _rename_to_new(partial, path)
    else:
        partial.unlink()


def _rename_to_new(partial: Path, path: Path) -> None:
    """Likewise; where the system has no call for it, a kill may leave an empty file."""
    if os.name == "nt":
        os.rename(partial, path)
        return
    code = _rename_exclusively(partial, path)
    if code == 0:
        return
    if code not in _UNSUPPORTED:
        raise OSError(code, os.strerror(code), str(path))
    path.open("xb").close()  # the name is claimed by an empty file
    try:
        os.replace(partial, path)
    except OSError:
        path.unlink()
        raise


def _rename_exclusively(partial: Path, path: Path) -> int:
    """Linux's renameat2; returns 0 or the number of its error."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return errno.ENOSYS
    places = (_HERE, os.fsencode(partial), _HERE, os.fsencode(path))
    return ctypes.get_errno() if call(*places, _NO_REPLACE) else 0
