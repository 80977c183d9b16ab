"""The weights files in a user's folders, listed anew each time and read only when they change."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from threading import Lock

from ..errors import CheckpointError
from ..file_identity import FileIdentity, file_identity
from .catalog import Catalog
from .identify import Part, identify

log = logging.getLogger(__name__)

ENDINGS = frozenset((".safetensors", ".pth", ".pt", ".bin", ".ckpt"))
"""Of files that may hold weights."""
_MAX_FILES = 100_000  # someone's whole disk is no folder of weights
_MAX_LOGGED = 10

_Listed = tuple[str, str, FileIdentity]
"""Name below its folder, with ``/`` on every system; path; identity."""


class Scanner:
    """Remembers what files hold for as long as they stay as they are.

    A scan of unchanged folders looks at the size and times of every file and opens none. It may be
    called from several threads.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._listed: list[_Listed] | None = None
        self._known: dict[Path, tuple[FileIdentity, tuple[Part, ...] | str]] = {}
        self._catalog = Catalog([])
        self._fingerprint = ""

    def scan(self, folders: Sequence[str], endings: Collection[str]) -> Catalog:
        """What the folders hold now; of two files with one name, that of the first folder.

        Nothing in them makes it fail: a file that cannot be used is in the catalog with the
        reason, which is logged once, and a folder that cannot be read counts as empty. Hidden files
        and folders are left out.

        Args:
            folders: in the order of preference.
            endings: of the files to look at, in lower case, such as ``.pth``.
        """
        with self._lock:
            self._update(folders, endings)
            return self._catalog

    def fingerprint(self, folders: Sequence[str], endings: Collection[str]) -> str:
        """Changes when a file that holds a network is added, removed or changed."""
        with self._lock:
            self._update(folders, endings)
            return self._fingerprint

    def _update(self, folders: Sequence[str], endings: Collection[str]) -> None:
        listed = [file for folder in folders for file in _list(folder, endings)]
        if listed == self._listed:
            return
        before, self._known = self._known, {}
        files: dict[str, Path] = {}
        new: list[str] = []
        for name, path_text, identity in listed:
            path = Path(path_text)
            if files.setdefault(name, path) is not path:
                continue
            entry = before.get(path)
            if entry is None or entry[0] != identity:
                entry = identity, _parts(name, path)
                if isinstance(entry[1], str):
                    new.append(entry[1])
            self._known[path] = entry
        self._catalog = Catalog(list(files.items()), self._recall)
        usable = [item for item in self._known.items() if not isinstance(item[1][1], str)]
        text = repr(sorted((str(path), identity) for path, (identity, _) in usable))
        self._fingerprint = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        self._listed = listed
        for reason in new[:_MAX_LOGGED]:
            log.warning("MMAudio: not usable as weights: %s", reason)
        if len(new) > _MAX_LOGGED:
            log.warning("MMAudio: %d more files are not usable.", len(new) - _MAX_LOGGED)

    def _recall(self, path: Path) -> tuple[Part, ...]:
        found = self._known[path][1]
        if isinstance(found, str):
            raise CheckpointError(found)
        return found


def _parts(name: str, path: Path) -> tuple[Part, ...] | str:
    try:
        name.encode()
    except UnicodeEncodeError:
        escaped = name.encode("utf-8", "backslashreplace").decode()
        return f"the name of {escaped} is not Unicode text; rename the file"
    try:
        return identify(path)
    except CheckpointError as error:
        return str(error)


def _list(folder: str, endings: Collection[str]) -> Iterator[_Listed]:
    """The files below ``folder``; every folder once, so that links in a circle end."""
    seen: set[tuple[int, int]] = set()
    waiting = [("", folder)]
    count = 0
    while waiting and count < _MAX_FILES:
        prefix, path = waiting.pop()
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                for entry in entries:
                    name = entry.name
                    count += 1
                    if name.startswith("."):
                        continue
                    if name[name.rfind(".") :].lower() in endings:
                        try:
                            status = os.stat(entry.path)
                        except OSError:  # a link to nowhere, or just deleted
                            continue
                        if stat.S_ISREG(status.st_mode):  # a pipe would block whoever opens it
                            yield prefix + name, entry.path, file_identity(status)
                            continue
                    if entry.is_dir():
                        waiting.append((f"{prefix}{name}/", entry.path))
        except OSError as error:
            log.debug("MMAudio: %s cannot be listed: %s", path, error)
