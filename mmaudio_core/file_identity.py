"""What tells a file from the one that stood under the same name before."""

from __future__ import annotations

import os

FileIdentity = tuple[int, int, int, int]


def file_identity(stat: os.stat_result) -> FileIdentity:
    """Size, inode, and the times of the last change of the content and of the file's entry.

    A copy that keeps the time of its content (``cp -p``) has another inode or time of change.
    """
    return stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns
