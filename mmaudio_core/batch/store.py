"""Where results go."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import MediaError
from ..partial_files import partial_file
from .item import is_url
from .remote import file_system, retried
from .remote_store import RemoteStore


class Store(Protocol):
    """A folder of results, on a disk or elsewhere; names have ``/``. It can be sent to a process.

    What is written under a name appears complete or not at all. All methods raise ``MediaError``
    if the place cannot be read or written.
    """

    @property
    def local(self) -> Path | None:
        """The folder, if it is on a disk."""
        ...

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file, replacing one that is there."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        ...

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if there is none."""
        ...

    def staged(self, name: str) -> AbstractContextManager[Path]:
        """The path to write a file to, by its name without suffix.

        Files beside that path whose names begin with it are published when the context ends
        without error.
        """
        ...


@dataclass(frozen=True)
class LocalStore:
    """A folder on a disk."""

    folder: Path

    @property
    def local(self) -> Path | None:
        return self.folder

    def read(self, name: str) -> bytes | None:
        try:
            return self._path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise store_failure(self._path(name), "read", error) from error

    def write(self, name: str, content: bytes) -> None:
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial_file(path.parent) as partial:
                partial.write_bytes(content)
                os.replace(partial, path)
        except OSError as error:
            raise store_failure(path, "written", error) from error

    def delete(self, name: str) -> None:
        try:
            self._path(name).unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise store_failure(self._path(name), "deleted", error) from error

    def size(self, name: str) -> int | None:
        try:
            return self._path(name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise store_failure(self._path(name), "read", error) from error

    @contextmanager
    def staged(self, name: str) -> Generator[Path, None, None]:
        path = self._path(name)  # the writers of media are atomic themselves
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise store_failure(path.parent, "made", error) from error
        yield path

    def _path(self, name: str) -> Path:
        return self.folder.joinpath(*name.split("/"))


def open_store(place: str) -> Store:
    """The store at a path or URL; nothing is written yet.

    Raises:
        MediaError: nothing can be written to that kind of URL, or a package for it is missing.
    """
    if not is_url(place):
        return LocalStore(Path(place))
    if place.lower().startswith(("http://", "https://")):
        raise MediaError(
            f"'{place}' is a web address, to which nothing can be written; expected a folder, or a "
            "URL such as s3://bucket/results"
        )
    retried(lambda: file_system(place), place, "reached")
    return RemoteStore(place)


def store_failure(path: Path, what: str, error: OSError) -> MediaError:
    """The error for a place on a disk that refuses."""
    return MediaError(
        f"'{path}' could not be {what} ({error.strerror or error}); expected a folder with write "
        "permission and free space"
    )
