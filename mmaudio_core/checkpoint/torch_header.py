"""The tensors that a PyTorch checkpoint holds: a zip archive, or before 1.6 pickles and bytes.

Nothing is unpickled, unpacked or mapped. ``torch.save`` stores the records of an archive as they
are; a compressed one is refused, because it can be larger than the memory.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator
from io import RawIOBase
from typing import Any, BinaryIO, cast

from .pickle_header import PickledTensor, Storage, read_pickle
from .stored import MAX_HEADER_BYTES, MAX_KEY_LENGTH, BrokenFileError, TensorInfo

_MAX_DEPTH = 16
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_LOCAL_HEADER = struct.Struct("<26xHH")  # of a record: the lengths of its name and extra field

Entries = tuple[dict[str, TensorInfo], dict[str, str]]


def read_zip_header(file: BinaryIO, size: int) -> Entries:
    """Tensors of an archive, and its strings and numbers; keys of nested dicts joined by dots.

    Raises:
        BrokenFileError: it is incomplete or damaged.
        MoreThanTensorsError: its pickle holds something else.
    """
    try:
        with zipfile.ZipFile(cast(Any, _Bounded(file, MAX_HEADER_BYTES))) as archive:
            records = {info.filename: info for info in archive.infolist()}
    except zipfile.BadZipFile as error:
        incomplete = "not a zip" in str(error)
        reason = "the end of the archive is missing" if incomplete else str(error)
        raise BrokenFileError(reason, incomplete=incomplete) from None
    folder = next(iter(records), "").split("/")[0]

    def begin(name: str, length: int) -> int:
        """Byte of the file at which a record begins, which must have ``length`` bytes."""
        record = records.get(f"{folder}/{name}")
        if record is None or record.file_size < length:
            raise BrokenFileError(f"its record {name!r} is missing or too short")
        if record.compress_type != zipfile.ZIP_STORED or record.flag_bits & 1:
            raise BrokenFileError(f"its record {name!r} is compressed")
        file.seek(record.header_offset)
        header = file.read(_LOCAL_HEADER.size)
        if not header.startswith(b"PK\x03\x04"):
            raise BrokenFileError(f"its record {name!r} is not where the archive says")
        offset = record.header_offset + _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(header))
        if offset + record.file_size > size:
            raise BrokenFileError(f"its record {name!r} lies past its end", incomplete=True)
        return offset

    file.seek(begin("data.pkl", 1))
    length = records[f"{folder}/data.pkl"].file_size
    if length > MAX_HEADER_BYTES:
        raise BrokenFileError(f"its pickle of {length:,} bytes is larger than that of any model")
    root, _ = read_pickle(file.read(length))
    if f"{folder}/byteorder" in records:
        file.seek(begin("byteorder", 3))
        if file.read(3) == b"big":
            raise BrokenFileError("its numbers are big-endian")
    return _collect(root, lambda storage: begin(f"data/{storage.key}", storage.nbytes))


def read_legacy_header(file: BinaryIO, size: int) -> Entries:
    """As ``read_zip_header``, for a checkpoint written before PyTorch 1.6.

    Five pickles (a magic number, the protocol, facts about the system, the tensors, the keys of
    the storages), then for each key the number of its elements and the elements.
    """
    data = file.read(MAX_HEADER_BYTES)
    objects: list[Any] = []
    position = 0
    try:
        for _ in range(5):
            found, position = read_pickle(data, position)
            objects.append(found)
    except BrokenFileError as error:
        if error.incomplete and len(data) < size:
            raise BrokenFileError("its pickle is larger than that of any model") from None
        raise
    magic, protocol, _, root, keys = objects
    if (magic, protocol) != (_LEGACY_MAGIC, _LEGACY_PROTOCOL) or not isinstance(keys, list):
        raise BrokenFileError("it is of an unknown protocol")
    storages = {
        value.storage.key: value.storage
        for _, value in _flat(root)
        if isinstance(value, PickledTensor)
    }
    begins: dict[str, int] = {}
    for key in cast(list[Any], keys):
        if not isinstance(key, str) or key not in storages or key in begins:
            raise BrokenFileError("its storages are not those of its tensors")
        begins[key] = position + 8
        position = begins[key] + storages[key].nbytes

    def begin(storage: Storage) -> int:
        if storage.key not in begins or storage.nbytes != storages[storage.key].nbytes:
            raise BrokenFileError("its storages are not those of its tensors")
        return begins[storage.key]

    if position > size:
        raise BrokenFileError(f"its tensors end at byte {position:,}", incomplete=True)
    return _collect(root, begin)


def _collect(root: Any, begin: Callable[[Storage], int]) -> Entries:
    """Tensors, and strings and numbers as text, of nested dicts; ``begin`` is a storage's place."""
    tensors: dict[str, TensorInfo] = {}
    others: dict[str, str] = {}
    for key, value in _flat(root):
        if isinstance(value, PickledTensor):
            tensors[key] = value.at(begin(value.storage))
        elif isinstance(value, (str, int, float)):
            others[key] = str(value)
    return tensors, others


def _flat(root: Any) -> Iterator[tuple[str, Any]]:
    """The values of nested dicts, with their keys joined by dots; each dict once."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any, int]] = [("", root, 0)]
    while waiting:
        key, value, depth = waiting.pop()
        if not isinstance(value, dict):
            yield key, value
            continue
        if depth == _MAX_DEPTH:
            raise BrokenFileError(f"its dicts are nested more than {_MAX_DEPTH} deep")
        if id(cast(object, value)) in seen:
            continue
        seen.add(id(cast(object, value)))
        items: list[tuple[str, Any, int]] = []
        for name, item in cast(dict[Any, Any], value).items():
            joined = f"{key}.{name}" if key else str(name)
            if len(joined) > MAX_KEY_LENGTH:
                raise BrokenFileError(f"the key {joined[:100]!r}... is too long")
            items.append((joined, item, depth + 1))
        waiting += reversed(items)


class _Bounded(RawIOBase):
    """A file of which a bounded number of bytes can be read, at whatever places."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file = file
        self._left = left

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise BrokenFileError("the directory of the archive is larger than that of any model")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True
