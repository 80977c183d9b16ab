"""The header of a safetensors file: the length of a JSON text, that text, then the tensors.

Read here and not by the library, which maps the whole file: that fails if the file is larger than
the memory, and a mapped file that is overwritten ends the process.
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO, cast

import torch

from .stored import MAX_HEADER_BYTES, MAX_KEY_LENGTH, BrokenFileError, TensorInfo, sizes

_LENGTH = struct.Struct("<Q")
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_safetensors_header(
    file: BinaryIO, size: int
) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Tensors and metadata of a file of ``size`` bytes.

    Raises:
        BrokenFileError: it is incomplete or damaged.
    """
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    begin = _LENGTH.size + length
    if begin > size:
        raise BrokenFileError(f"its header should have {length:,} bytes", incomplete=True)
    if length > MAX_HEADER_BYTES:
        raise BrokenFileError(f"its header of {length:,} bytes is larger than that of any model")
    try:
        found: object = json.loads(file.read(length).decode())
    except ValueError as error:
        raise BrokenFileError(f"its header is no JSON ({error})") from None
    except RecursionError:
        raise BrokenFileError("its header is nested too deep") from None
    if not isinstance(found, dict):
        raise BrokenFileError("its header is no JSON object")
    entries = cast(dict[str, Any], found)
    metadata: Any = entries.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):  # pyright: ignore
        raise BrokenFileError("its metadata are no texts")
    tensors: dict[str, TensorInfo] = {}
    spans: list[tuple[int, int]] = []
    for key, entry in entries.items():
        tensors[key], end = _tensor(key, entry, begin)
        spans.append((tensors[key].offset, end))
    _check_cover(spans, begin, size)
    return tensors, cast(dict[str, str], metadata)


def _tensor(key: str, entry: Any, begin: int) -> tuple[TensorInfo, int]:
    """One tensor, and the byte of the file at which it ends."""
    name = repr(key[:100])
    if len(key) > MAX_KEY_LENGTH:
        raise BrokenFileError(f"the key {name}... has {len(key):,} characters")
    try:
        dtype = _DTYPES.get(entry["dtype"])
        first, last = entry["data_offsets"]
        shape = sizes(entry["shape"], f"the shape of {name}")
    except (TypeError, ValueError, KeyError):
        raise BrokenFileError(f"the entry of {name} is not as expected") from None
    if type(first) is not int or type(last) is not int or not 0 <= first <= last:
        raise BrokenFileError(f"{name} has no place in the file")
    info = TensorInfo(shape=shape, dtype=dtype, offset=begin + first)
    if dtype is not None and last - first != info.elements * dtype.itemsize:
        raise BrokenFileError(f"the shape of {name} does not fit its {last - first:,} bytes")
    return info, begin + last


def _check_cover(spans: list[tuple[int, int]], begin: int, size: int) -> None:
    """The tensors fill the rest of the file, without gap or overlap."""
    for first, last in sorted(spans):
        if first != begin:
            raise BrokenFileError("its tensors leave a gap or overlap")
        begin = last
    if begin != size:
        raise BrokenFileError(f"its tensors end at byte {begin:,}", incomplete=begin > size)
