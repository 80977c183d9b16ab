"""Files at URLs, through fsspec: read in pieces, and tried again when a call fails."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from ..errors import MediaError
from .item import file_name
from .stages import InputFacts

T = TypeVar("T")

_TRIES = 6
_FIRST_WAIT = 0.1
"""Seconds before the second try; doubled before each further one."""
_FINAL = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ImportError)
"""Errors that the next try would have too."""
_VERSION_KEYS = ("ETag", "etag", "md5Hash", "md5", "generation", "LastModified", "updated", "mtime")
_BLOCK_BYTES = 4 << 20
_BUFFER_BYTES = 1 << 16


@dataclass(frozen=True)
class RemoteFile:
    """A video at a URL, for ``open_source``."""

    url: str

    def __str__(self) -> str:
        return f"'{self.url}'"

    def open(self) -> io.BufferedReader:
        """The file, of which little more is fetched than is read."""
        return io.BufferedReader(_RetriedFile(self.url), _BUFFER_BYTES)

    def size(self) -> int:
        """In bytes.

        Raises:
            MediaError: it cannot be reached.
        """
        return self.facts().size

    def facts(self) -> InputFacts:
        """Size and version, without reading it.

        Raises:
            MediaError: it cannot be reached, or is a folder.
        """
        info = retried(self._info, self.url, "read")
        if info.get("type") == "directory":
            raise MediaError(f"{self} is a folder; expected a video file. Check the URL.")
        if info.get("size") is None:
            raise MediaError(f"the server does not tell the size of {self}; expected one that does")
        version = next((info[key] for key in _VERSION_KEYS if info.get(key)), None)
        return InputFacts(size=int(info["size"]), changed=None if version is None else str(version))

    def _info(self) -> dict[str, Any]:
        fs, path = file_system(self.url)
        return dict(fs.info(path))


class _RetriedFile(io.RawIOBase):
    """A file that is opened again, where it was, when a read fails."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._file: Any = None
        self._position = 0

    @cached_property
    def _size(self) -> int:
        return RemoteFile(self._url).size()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        content = retried(lambda: self._read(len(view)), self._url, "read")
        view[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        if self._file is not None:
            with suppress(Exception):
                self._file.close()
            self._file = None
        super().close()

    def _read(self, count: int) -> bytes:
        try:
            if self._file is None:
                fs, path = file_system(self._url)
                self._file = fs.open(path, "rb", block_size=_BLOCK_BYTES)
            self._file.seek(self._position)
            return self._file.read(count)
        except Exception:
            self._file = None
            raise


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Raises:
        ImportError: fsspec, or what it needs for this kind of URL, is not installed.
        MediaError: there is no such kind of URL.
    """
    import fsspec.core  # pyright: ignore[reportMissingTypeStubs]

    core: Any = fsspec.core
    try:
        fs, path = core.url_to_fs(url, use_listings_cache=False)
    except ValueError as error:
        raise MediaError(
            f"'{url}' cannot be used ({error}); expected a path, or a URL of a kind that fsspec "
            "knows, such as s3://, gs:// or https://"
        ) from error
    return fs, path


def list_remote(url: str) -> dict[str, str]:
    """The files that a pattern matches, or that are below a folder; or the file itself.

    Returns:
        By the URL of each, its path below the folder, or below the part without wildcards.

    Raises:
        MediaError: the place cannot be reached.
    """

    def work() -> dict[str, str]:
        fs, path = file_system(url)
        root = path
        is_web = url.startswith(("http://", "https://"))
        if "*" in path and not is_web:
            found = [name for name in fs.glob(path) if not fs.isdir(name)]
            root = path.partition("*")[0].rpartition("/")[0]
        elif not is_web and fs.isdir(path):
            found = fs.find(path)
        else:
            return {url: file_name(url)}
        return {
            fs.unstrip_protocol(name): name.removeprefix(root).lstrip("/") for name in sorted(found)
        }

    return retried(work, url, "listed")


def read_text(url: str) -> str:
    """The text of a file at a URL.

    Raises:
        MediaError: it cannot be read, or is no UTF-8.
    """

    def work() -> bytes:
        fs, path = file_system(url)
        return fs.cat_file(path)

    content = retried(work, url, "read")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(url, error) from None


def not_utf8(name: str, error: UnicodeDecodeError) -> MediaError:
    """The error for a manifest in another encoding, or of another kind."""
    return MediaError(
        f"the manifest '{name}' is no UTF-8 text ({error.reason} at byte {error.start}), expected "
        "one JSON object a line, uncompressed. Save it as UTF-8"
    )


def retried(work: Callable[[], T], url: str, what: str) -> T:
    """What ``work`` returns, in as many tries as it takes within reason.

    Raises:
        MediaError: it cannot be, with what it is about as its cause.
    """
    wait = _FIRST_WAIT
    for tries_left in reversed(range(_TRIES)):
        try:
            return work()
        except _FINAL as error:
            if isinstance(error, ImportError):
                raise MediaError(
                    f"'{url}' needs what is not installed ({error}): pip install "
                    "'mmaudio-native[remote]', for s3:// with [s3], for gs:// with [gs]"
                ) from error
            raise _failure(url, what, error) from error
        except MediaError:
            raise
        except Exception as error:  # each kind of store has exceptions of its own
            if not tries_left:
                raise _failure(url, what, error) from error
            time.sleep(wait)
            wait *= 2
    raise AssertionError("the last try returns or raises")


def _failure(url: str, what: str, error: Exception) -> MediaError:
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, FileNotFoundError):
        reason = "it does not exist"
    return MediaError(
        f"'{url}' could not be {what} ({reason}). Check the URL and the access to it."
    )
