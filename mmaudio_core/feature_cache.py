"""A cache of encoder outputs, keyed by what the encoder sees.

An encoder's output for one item (a frame, a segment, a row of tokens) depends on the item's bytes,
the weights and the precision, and on nothing else. So features are stored under a digest of those:
another prompt, offset, duration, trim, mask or container of the same frames encodes only what is
new, and frames that repeat or overlap are encoded once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from .partial_files import partial_file

log = logging.getLogger(__name__)

DEFAULT_BYTES = 256 * 1024 * 1024
_DIGEST_BYTES = 20
_VERSION = b"1"  # of what a digest covers; raise it when preprocessing or encoders change
_TENSOR = "features"
_MAX_VIDEOS = 256

Digest = bytes
VideoKey = tuple[Hashable, ...]
Record = Mapping[str, Tensor]
"""Named tensors that are kept together; not to be written to."""


@dataclass(frozen=True, kw_only=True)
class VideoDigests:
    """What a range of a video file decodes to, so that it need not be decoded again.

    Attributes:
        duration: seconds of video that were decoded.
        clip: digests of the CLIP frames; None if they were left out.
        sync: digests of the sync segments.
        motion: what was measured between the frames, which are gone; not to be written to.
    """

    duration: Fraction
    clip: tuple[Digest, ...] | None
    sync: tuple[Digest, ...]
    motion: Tensor


class FeatureCache:
    """Least recently used features in memory, and all of them in a folder where one is given.

    The folder may be shared between processes and machines, and a process may be killed while it
    writes: a file appears under its name only when it is whole, and one that cannot be read counts
    as missing.

    Args:
        max_bytes: bound of the features held in memory; 0 keeps none there.
        folder: where features are kept on disk; None for memory only.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES, folder: Path | None = None) -> None:
        self._max_bytes = max_bytes
        self._folder = folder
        self._entries: OrderedDict[Digest, Record] = OrderedDict()
        self._videos: OrderedDict[VideoKey, VideoDigests] = OrderedDict()
        self._bytes = 0
        self._warned = False
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of the features held in memory."""
        return self._bytes

    def get(self, digest: Digest) -> Tensor | None:
        """Features of one item, or None; not to be written to."""
        found = self.get_record(digest)
        return None if found is None else found.get(_TENSOR)

    def put(self, digest: Digest, features: Tensor) -> None:
        """Store the features of one item, on the CPU."""
        self.put_record(digest, {_TENSOR: features})

    def get_record(self, digest: Digest) -> Record | None:
        """What was stored under a digest, or None."""
        with self._lock:
            found = self._entries.get(digest)
            if found is not None:
                self._entries.move_to_end(digest)
                return found
        found = self._read(digest)
        if found is not None:
            self._keep(digest, found)
        return found

    def put_record(self, digest: Digest, record: Record) -> None:
        """Store tensors, on the CPU."""
        # a row of a batch would keep the whole batch alive
        record = {name: tensor.detach().clone() for name, tensor in record.items()}
        self._keep(digest, record)
        self._write(digest, record)

    def get_all(self, digests: Sequence[Digest]) -> Tensor | None:
        """Features of all items, (n, ...), or None if any is missing."""
        rows = [self.get(digest) for digest in digests]
        found = [row for row in rows if row is not None]
        return torch.stack(found) if found and len(found) == len(rows) else None

    def get_video(self, key: VideoKey) -> VideoDigests | None:
        """What a range of a file decoded to, or None."""
        with self._lock:
            return self._videos.get(key)

    def put_video(self, key: VideoKey, digests: VideoDigests) -> None:
        """Remember what a range of a file, identified by ``key``, decoded to."""
        with self._lock:
            self._videos[key] = digests
            while len(self._videos) > _MAX_VIDEOS:
                self._videos.popitem(last=False)

    def _keep(self, digest: Digest, record: Record) -> None:
        if _nbytes(record) > self._max_bytes:
            return
        with self._lock:
            self._bytes += _nbytes(record) - _nbytes(self._entries.pop(digest, {}))
            self._entries[digest] = record
            while self._bytes > self._max_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= _nbytes(oldest)

    def _path(self, digest: Digest) -> Path | None:
        if self._folder is None:
            return None
        name = digest.hex()
        return self._folder / name[:2] / f"{name}.safetensors"

    def _read(self, digest: Digest) -> Record | None:
        path = self._path(digest)
        if path is None:
            return None
        try:
            return load(path.read_bytes())
        except (OSError, SafetensorError):
            return None

    def _write(self, digest: Digest, record: Record) -> None:
        path = self._path(digest)
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial_file(path.parent) as partial:
                partial.write_bytes(save({k: tensor.contiguous() for k, tensor in record.items()}))
                os.replace(partial, path)
        except OSError as error:  # a full or read-only disk costs speed, not the result
            if not self._warned:
                log.warning(
                    "MMAudio: features cannot be kept in %s (%s): free some space, or name another "
                    "folder. The result is the same, but the video will be encoded again.",
                    self._folder,
                    error.strerror,
                )
            self._warned = True


def _nbytes(record: Record) -> int:
    return sum(tensor.nbytes for tensor in record.values())


def item_digests(items: Tensor, encoder: str) -> list[Digest]:
    """A digest of each item (n, ...) as ``encoder`` sees it.

    Args:
        items: on the CPU, of any dtype that numpy knows.
        encoder: identifies the network, its weights and its precision.
    """
    salt = hashlib.sha256(b"\0".join((_VERSION, encoder.encode(), _layout(items)))).digest()
    rows = items.contiguous().flatten(1).view(torch.uint8).numpy()
    return [_digest(salt, row) for row in rows]


def text_digest(*parts: str) -> Digest:
    """A digest of what is told apart by words."""
    text = "\0".join((_VERSION.decode(), *parts))
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


def _layout(items: Tensor) -> bytes:
    return f"{items.dtype}{tuple(items.shape[1:])}".encode()


def _digest(salt: bytes, row: np.ndarray) -> Digest:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES, key=salt)
    digest.update(row.data)
    return digest.digest()


def weights_fingerprint(path: Path, blocks: int = 64, block_bytes: int = 64 * 1024) -> str:
    """A fingerprint of a weights file that does not depend on its name or place.

    Its size, its beginning and blocks spread evenly over it: quick for files of several GB, and
    different for any two trainings, which change every tensor.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for offset in _offsets(size, blocks, block_bytes):
            file.seek(offset)
            digest.update(file.read(block_bytes))
    return digest.hexdigest()


def _offsets(size: int, blocks: int, block_bytes: int) -> Sequence[int]:
    last = max(0, size - block_bytes)
    return sorted({index * last // max(1, blocks - 1) for index in range(blocks)})
