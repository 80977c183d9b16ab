"""Which of several drivers on one folder does an item.

A lock is a range of bytes of one file, held by the operating system: it ends with the process,
however that ends, so no lock is ever stale.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from .item import STATE, Item, folded
from .store import store_failure

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

log = logging.getLogger(__name__)

_FILE = "lock"
_PLACES = 2**62
_WHOLE = -1


class ItemLocks:
    """The items that this process has in hand; one object a process and folder.

    Args:
        folder: of the results; None where it is on no disk, and nothing can be locked.

    Raises:
        MediaError: the folder cannot be made or written to.
    """

    def __init__(self, folder: Path | None) -> None:
        self._held: set[int] = set()
        self._file: int | None = None
        if folder is not None:
            path = folder / STATE / _FILE
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise store_failure(path, "made", error) from error

    def __enter__(self) -> ItemLocks:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def claim(self, item: Item) -> bool:
        """Take an item; False if another process has it in hand."""
        return self._claim(_place(item))

    def release(self, items: Iterable[Item]) -> None:
        """Let others have what was claimed."""
        for item in items:
            place = _place(item)
            if place in self._held:
                self._held.discard(place)
                _unlock(self._file, place)

    def claim_all(self) -> bool:
        """Take every item at once; False if another process has any in hand."""
        return self._claim(_WHOLE)

    def close(self) -> None:
        """Release everything."""
        self._held.clear()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _claim(self, place: int) -> bool:
        if place in self._held or _WHOLE in self._held:
            return True
        try:
            _lock(self._file, place)
        except BlockingIOError:
            return False
        except OSError as error:  # a file system without locks
            if self._file is not None:
                log.warning(
                    "the folder of results cannot be locked (%s): run only one process on it",
                    error.strerror,
                )
                self.close()
        self._held.add(place)
        return True


def _place(item: Item) -> int:
    digest = hashlib.blake2b(folded(item.out).encode(errors="backslashreplace"), digest_size=8)
    return int.from_bytes(digest.digest(), "little") % _PLACES


if sys.platform == "win32":
    _RANGE = 2**31 - 1

    def _lock(file: int | None, place: int) -> None:
        if file is not None:
            start, length = (0, _RANGE) if place == _WHOLE else (place % _RANGE, 1)
            os.lseek(file, start, os.SEEK_SET)
            try:
                msvcrt.locking(file, msvcrt.LK_NBLCK, length)
            except PermissionError as error:
                raise BlockingIOError from error

    def _unlock(file: int | None, place: int) -> None:
        if file is not None:
            os.lseek(file, place % _RANGE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:

    def _lock(file: int | None, place: int) -> None:
        if file is not None:
            start, length = (0, 0) if place == _WHOLE else (place, 1)
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
            except PermissionError as error:  # some systems' word for "it is locked"
                raise BlockingIOError from error

    def _unlock(file: int | None, place: int) -> None:
        if file is not None:
            fcntl.lockf(file, fcntl.LOCK_UN, 1, place)
