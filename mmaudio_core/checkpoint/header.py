"""Read the names, shapes and types of a weights file's tensors, or the tensors themselves.

The file's first bytes decide its format, never its name. Nothing is unpickled, so no code in a
pickle can run, and nothing is mapped, so the file may be of any size and be overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from ..errors import CheckpointError
from .pickle_header import MoreThanTensorsError
from .safetensors_header import read_safetensors_header
from .stored import BrokenFileError, TensorInfo
from .torch_header import read_legacy_header, read_zip_header


class Format(Enum):
    """File format."""

    SAFETENSORS = "safetensors file"
    TORCH_ZIP = "PyTorch checkpoint"
    TORCH_PICKLE = "PyTorch checkpoint (before 1.6)"


_READERS = {
    Format.SAFETENSORS: read_safetensors_header,
    Format.TORCH_ZIP: read_zip_header,
    Format.TORCH_PICKLE: read_legacy_header,
}


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file holds; keys of nested dicts are joined by dots."""

    path: Path
    format: Format
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]  # of a pickle: its strings and numbers


def read_header(path: Path) -> Header:
    """Read the header of ``path``, but no tensor, within bounds of memory and time.

    Raises:
        CheckpointError: the file cannot be read, is incomplete or damaged, or holds no weights.
    """
    try:
        with path.open("rb") as file:
            return _read_header(file, path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from None


def read_tensors(path: Path, keys: Mapping[str, str]) -> dict[str, Tensor]:
    """Read tensors to the CPU; ``keys`` maps the names to return to the stored ones.

    Raises:
        CheckpointError: as ``open_tensors``.
    """
    with open_tensors(path, keys) as tensors:
        return dict(tensors)


@contextmanager
def open_tensors(
    path: Path, keys: Mapping[str, str]
) -> Generator[Mapping[str, Tensor], None, None]:
    """Tensors that are read to the CPU when they are looked up, while the context is open.

    Args:
        keys: the names of the tensors -> the stored ones.

    Raises:
        CheckpointError: as ``read_header``, a tensor is missing, or the file was written to.
    """
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            yield _StoredTensors(file, _read_header(file, path), keys)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise _changed(path)


def _read_header(file: BinaryIO, path: Path) -> Header:
    fmt = _format(file, path.name)
    size = file.seek(0, 2)
    file.seek(0)
    try:
        tensors, metadata = _READERS[fmt](file, size)
    except MoreThanTensorsError as error:
        raise CheckpointError(
            f"{path.name} is a damaged pickle, or one that holds more than tensors ({error}); "
            "expected tensors only, because anything else could run code. The publisher may have "
            "it as safetensors"
        ) from None
    except BrokenFileError as error:
        state = f"is incomplete ({size:,} bytes)" if error.incomplete else "is damaged"
        raise CheckpointError(
            f"{path.name} {state}: {error}; expected a complete {fmt.value}"
        ) from None
    except OSError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise CheckpointError(
            f"{path.name} is damaged ({type(error).__name__}); expected a complete {fmt.value}"
        ) from None
    return Header(path=path, format=fmt, tensors=tensors, metadata=metadata)


class _StoredTensors(Mapping[str, Tensor]):
    def __init__(self, file: BinaryIO, header: Header, keys: Mapping[str, str]) -> None:
        self._file = file
        self._header = header
        self._keys = keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, name: str) -> Tensor:
        stored = self._keys[name]
        info = self._header.tensors.get(stored)
        if info is None:
            raise _changed(self._header.path)
        if info.dtype is None:
            raise CheckpointError(f"{self._header.path.name}: {stored} is of a type unknown here")
        count = info.elements
        data = torch.empty(count * info.dtype.itemsize, dtype=torch.uint8)
        self._read(info.offset, memoryview(data.numpy()))  # pyright: ignore[reportArgumentType]
        values = data.view(info.dtype)
        if info.strides is None or not count:
            return values.reshape(info.shape)
        return values.as_strided(info.shape, info.strides)

    def _read(self, offset: int, target: memoryview) -> None:
        self._file.seek(offset)
        while target:
            count = self._file.readinto(target)  # pyright: ignore
            if not count:
                raise _changed(self._header.path)
            target = target[count:]


def _changed(path: Path) -> CheckpointError:
    return CheckpointError(f"{path.name} was written to while it was read; wait until it is whole")


def _format(file: BinaryIO, name: str) -> Format:
    start = file.read(1024)
    if not start:
        raise CheckpointError(f"{name} is empty (0 bytes)")
    if start.startswith(b"PK"):
        return Format.TORCH_ZIP
    if start.startswith(b"\x80"):
        return Format.TORCH_PICKLE
    if len(start) > 8 and start[8:9] == b"{":
        return Format.SAFETENSORS
    raise CheckpointError(
        f"{name} is not a weights file but {_looks_like(start)}; expected a .safetensors, "
        f".pth, .pt, .bin or .ckpt file"
    )


def _looks_like(start: bytes) -> str:
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (git lfs pull downloads the file itself)"
    if start.lstrip()[:1] == b"<":
        return "a web page"
    if start[4:8] == b"GGUF" or start.startswith(b"GGUF"):
        return "a GGUF file"
    if start.isascii() and b"\0" not in start:
        return "a text file"
    return "something else"
