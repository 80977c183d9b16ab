"""A video file on disk or in memory, as something that several readers can open."""

from __future__ import annotations

import io
import os
from collections.abc import Hashable
from typing import BinaryIO, Protocol, TypeAlias, Union

from ..errors import MediaError
from ..file_identity import content_digest, file_identity


class OpenableFile(Protocol):
    """A file that is neither on a disk nor in memory."""

    def open(self) -> io.BufferedReader:
        """The file, readable and seekable, with a position of its own.

        Raises:
            MediaError: on reading, if the file cannot be read.
        """
        ...

    def size(self) -> int:
        """Size in bytes; raises ``MediaError`` if there is no such file."""
        ...


PathOrBytes: TypeAlias = Union[str, "os.PathLike[str]", io.BytesIO, OpenableFile]
"""A path, a file's content in memory, or a file elsewhere."""


class InputFile:
    """A file that can be opened any number of times, each with a position of its own."""

    def __init__(self, file: PathOrBytes) -> None:
        self._file = file

    def __str__(self) -> str:
        """The file's name in messages."""
        if isinstance(self._file, io.BytesIO):
            return "the video given as data in memory"
        if not isinstance(self._file, (str, os.PathLike)):
            return str(self._file)
        return f"'{os.fspath(self._file)}'"

    def open(self) -> str | io.BytesIO | io.BufferedReader:
        """What ``av.open`` and ``PIL.Image.open`` take."""
        if isinstance(self._file, io.BytesIO):
            return io.BytesIO(self._file.getvalue())  # CPython shares the bytes
        if not isinstance(self._file, (str, os.PathLike)):
            return self._file.open()
        return os.path.abspath(self._file)  # never taken for a protocol, as "a:b.mp4" is

    def read(self, count: int) -> bytes:
        """The first ``count`` bytes; fewer if the file is shorter or cannot be opened."""
        if isinstance(self._file, io.BytesIO):
            return bytes(self._file.getbuffer()[:count])
        try:
            if not isinstance(self._file, (str, os.PathLike)):
                with self._file.open() as file:
                    return file.read(count)
            if not os.path.isfile(self._file):  # a pipe would block whoever opens it
                return b""
            with open(self._file, "rb") as file:
                return file.read(count)
        except OSError:
            return b""

    def read_ends(self, count: int) -> bytes:
        """The first and the last ``count`` bytes; all of a file that is no longer than both."""
        with self._stream() as stream:
            head = stream.read(count)
            stream.seek(max(count, self.size() - count))
            return head + (stream.read())

    def digest(self) -> str:
        """Identifies the content of the whole file, whatever it is called.

        Raises:
            OSError: the file cannot be read.
        """
        with self._stream() as stream:
            return content_digest(stream)

    def _stream(self) -> BinaryIO:
        return open(file, "rb") if isinstance(file := self.open(), str) else file

    @property
    def identity(self) -> tuple[Hashable, ...] | None:
        """Path and identity of a file on disk, which change with its content; else None."""
        if not isinstance(self._file, (str, os.PathLike)):
            return None
        try:
            return os.path.abspath(self._file), *file_identity(os.stat(self._file))
        except OSError:
            return None

    def size(self) -> int:
        """Size in bytes.

        Raises:
            MediaError: if the file does not exist or is empty.
        """
        if isinstance(self._file, io.BytesIO):
            size = self._file.getbuffer().nbytes
        elif not isinstance(self._file, (str, os.PathLike)):
            size = self._file.size()
        elif os.path.isfile(self._file):
            size = os.path.getsize(self._file)
        else:
            problem = "is a pipe or a device" if os.path.exists(self._file) else "does not exist"
            if os.path.isdir(self._file):
                problem = "is a folder"
            raise MediaError(f"{self} {problem}; expected a video file. Check the path.")
        if size == 0:
            raise MediaError(
                f"{self} is empty (0 bytes); expected a video file."
                " Its download or export may have failed: make it again."
            )
        return size
