"""Read the names, shapes and types of a weights file's tensors, or the tensors themselves.

The file's first bytes decide its format, never its name. Pickles are only opened with
``weights_only=True``, so no code in them can run.
"""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError

_SAFETENSORS_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


class Format(Enum):
    """File format."""

    SAFETENSORS = "safetensors"
    TORCH_ZIP = "PyTorch checkpoint"
    TORCH_PICKLE = "PyTorch checkpoint (before 1.6)"


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """Shape and element type of a stored tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype | None  # None for types that no network here uses


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file holds; keys of nested dicts are joined by dots."""

    path: Path
    format: Format
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]  # of a pickle: its strings and numbers


def read_header(path: Path) -> Header:
    """Read the header of ``path``, but no tensor.

    Raises:
        CheckpointError: the file cannot be read, is incomplete or damaged, or holds no weights.
    """
    fmt = _format(path)
    if fmt is Format.SAFETENSORS:
        with _safetensors(path) as file:
            tensors: dict[str, TensorInfo] = {}
            for key in file.keys():  # noqa: SIM118  (the handle is not iterable)
                stored = file.get_slice(key)
                dtype = _SAFETENSORS_DTYPES.get(stored.get_dtype())
                tensors[key] = TensorInfo(shape=tuple(stored.get_shape()), dtype=dtype)
            metadata: dict[str, str] = file.metadata() or {}
        return Header(path=path, format=fmt, tensors=tensors, metadata=metadata)
    entries = dict(_flatten(_unpickle(path, fmt, "meta")))
    return Header(
        path=path,
        format=fmt,
        tensors={
            key: TensorInfo(shape=tuple(value.shape), dtype=value.dtype)
            for key, value in entries.items()
            if isinstance(value, Tensor)
        },
        metadata={
            key: str(value)
            for key, value in entries.items()
            if isinstance(value, (str, int, float))
        },
    )


def read_tensors(path: Path, keys: Mapping[str, str]) -> dict[str, Tensor]:
    """Read tensors to the CPU; ``keys`` maps the names to return to the stored ones.

    Raises:
        CheckpointError: as ``read_header``.
    """
    fmt = _format(path)
    if fmt is Format.SAFETENSORS:
        with _safetensors(path) as file:
            return {name: file.get_tensor(stored) for name, stored in keys.items()}
    entries = dict(_flatten(_unpickle(path, fmt, "cpu")))
    values = {name: entries[stored] for name, stored in keys.items()}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def _format(path: Path) -> Format:
    try:
        with path.open("rb") as file:
            start = file.read(1024)
        size = path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from None
    if size == 0:
        raise CheckpointError(f"{path.name} is empty (0 bytes)")
    if start.startswith(b"PK"):
        return Format.TORCH_ZIP
    if start.startswith(b"\x80"):
        return Format.TORCH_PICKLE
    if len(start) > 8 and start[8:9] == b"{":
        return Format.SAFETENSORS
    raise CheckpointError(
        f"{path.name} is not a weights file but {_looks_like(start)}; expected a .safetensors, "
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


def _safetensors(path: Path) -> Any:
    try:
        return safe_open(os.fspath(path), framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
        size = path.stat().st_size
        incomplete = length > size or "not fully covered" in str(error)
        state = f"is incomplete ({size:,} bytes)" if incomplete else "is damaged"
        raise CheckpointError(
            f"{path.name} {state}: {error}; expected a complete safetensors file"
        ) from None


def _unpickle(path: Path, fmt: Format, device: str) -> object:
    if fmt is Format.TORCH_ZIP and not _has_directory(path):
        raise CheckpointError(
            f"{path.name} is incomplete ({path.stat().st_size:,} bytes): the end of the archive is "
            f"missing; expected a complete PyTorch checkpoint"
        )
    try:
        return torch.load(
            path, map_location=device, weights_only=True, mmap=fmt is Format.TORCH_ZIP
        )
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path.name} is a damaged pickle, or one that holds more than tensors; expected "
            "tensors only, because anything else could run code. The publisher may have it as "
            "safetensors"
        ) from None
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path.name} is damaged or incomplete: {reason}; expected a PyTorch checkpoint"
        ) from None


def _has_directory(path: Path) -> bool:
    """Whether a zip archive has its directory, which is at the end of the file."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # there is a directory, but it is damaged
        return False


def _flatten(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _flatten(item, f"{prefix}.{key}" if prefix else str(key))  # pyright: ignore
    else:
        yield prefix, value
