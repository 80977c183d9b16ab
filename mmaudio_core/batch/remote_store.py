"""Results at a URL, through fsspec: each file appears complete or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from ..errors import MediaError
from .remote import file_system, retried

T = TypeVar("T")

_ATOMIC = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "az", "oci", "memory"))
"""Stores in which a file appears when all of it is there."""


@dataclass(frozen=True)
class RemoteStore:
    """A ``Store`` at a URL."""

    url: str

    @property
    def local(self) -> Path | None:
        return None

    def read(self, name: str) -> bytes | None:
        return self._call(lambda fs, path: fs.cat_file(path), name, "read")

    def write(self, name: str, content: bytes) -> None:
        self._publish(name, lambda fs, path: fs.pipe_file(path, content))

    def delete(self, name: str) -> None:
        self._call(lambda fs, path: fs.rm_file(path), name, "deleted")

    def size(self, name: str) -> int | None:
        info = self._call(lambda fs, path: fs.info(path), name, "read")
        return None if info is None else int(info["size"])

    @contextmanager
    def staged(self, name: str) -> Generator[Path, None, None]:
        with tempfile.TemporaryDirectory(prefix="mmaudio-") as folder:
            target = Path(folder, name.rpartition("/")[2])
            yield target
            above = name[: -len(target.name)]
            for path in sorted(Path(folder).iterdir()):
                if path.name.startswith(target.name):
                    self._publish(above + path.name, lambda fs, to, p=path: fs.put_file(str(p), to))

    def _publish(self, name: str, write: Callable[[Any, str], None]) -> None:
        """Write a file so that it appears complete or not at all."""

        def work(fs: Any, path: str) -> None:
            protocols = {fs.protocol} if isinstance(fs.protocol, str) else {*fs.protocol}
            if protocols & _ATOMIC:
                write(fs, path)
                return
            folder = path.rpartition("/")[0]
            fs.makedirs(folder, exist_ok=True)
            partial = f"{folder}/.mmaudio-{uuid4().hex}.tmp"
            try:
                write(fs, partial)
                fs.mv(partial, path)
            except BaseException:
                with suppress(Exception):
                    fs.rm_file(partial)
                raise

        self._call(work, name, "written")

    def _call(self, work: Callable[[Any, str], T], name: str, what: str) -> T | None:
        """What ``work`` returns; None if there is no such file."""
        url = f"{self.url.rstrip('/')}/{name}"

        def once() -> T:
            fs, path = file_system(url)
            return work(fs, path)

        try:
            return retried(once, url, what)
        except MediaError as error:
            if isinstance(error.__cause__, FileNotFoundError) and what != "written":
                return None
            raise
