"""A path or an open binary file, as something that several readers can open."""

from __future__ import annotations

import io
import os
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, Union

from ..errors import MediaError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PathOrFile: TypeAlias = Union[str, "os.PathLike[str]", BinaryIO]
"""A path, or an open and seekable binary file such as ``io.BytesIO``."""


class InputFile:
    """A file whose readers each have a position of their own, in memory too."""

    def __init__(self, file: PathOrFile) -> None:
        self._file = file
        self._lock = Lock()

    def __str__(self) -> str:
        """The file's name in messages."""
        if isinstance(self._file, (str, os.PathLike)):
            return f"'{os.fspath(self._file)}'"
        name = getattr(self._file, "name", None)
        return f"'{name}'" if isinstance(name, str) else "the video given as data in memory"

    def open(self) -> io.RawIOBase | io.BufferedReader:
        """The file's bytes from the beginning.

        Raises:
            OSError: if it cannot be opened.
        """
        if isinstance(self._file, (str, os.PathLike)):
            return open(self._file, "rb")
        return _FileView(self._file, self._lock)

    def libav_input(self) -> str | io.RawIOBase:
        """What ``av.open`` takes."""
        if isinstance(self._file, (str, os.PathLike)):
            return os.path.abspath(self._file)  # never taken for a protocol, as "a:b.mp4" is
        return _FileView(self._file, self._lock)

    def size(self) -> int:
        """Size in bytes.

        Raises:
            MediaError: if the file does not exist or is empty.
        """
        if not isinstance(self._file, (str, os.PathLike)):
            size = _FileView(self._file, self._lock).seek(0, os.SEEK_END)
        elif os.path.isfile(self._file):
            size = os.path.getsize(self._file)
        else:
            problem = "is a folder" if os.path.isdir(self._file) else "does not exist"
            raise MediaError(f"{self} {problem}; expected a video file. Check the path.")
        if size == 0:
            raise MediaError(
                f"{self} is empty (0 bytes); expected a video file."
                " Its download or export may have failed: make it again."
            )
        return size


class _FileView(io.RawIOBase):
    """Reads a file that others read too, from a position of its own."""

    def __init__(self, file: BinaryIO, lock: Lock) -> None:
        self._file = file
        self._lock = lock
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if whence == os.SEEK_CUR:
            offset, whence = self._position + offset, os.SEEK_SET
        with self._lock:
            self._position = self._file.seek(offset, whence)
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        with self._lock:
            self._file.seek(self._position)
            data = self._file.read(len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
