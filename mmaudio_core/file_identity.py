"""What tells a file from the one that stood under the same name before, or from any other."""

from __future__ import annotations

import hashlib
import os
from typing import IO

FileIdentity = tuple[int, int, int, int]
_BLOCK_BYTES = 1 << 20


def file_identity(stat: os.stat_result) -> FileIdentity:
    """Size, inode, and the times of the last change of the content and of the file's entry.

    A copy that keeps the time of its content (``cp -p``) has another inode or time of change.
    """
    return stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns


def content_digest(file: IO[bytes]) -> str:
    """A digest of what is left to read in a file; the same for the same content anywhere.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=20)
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
