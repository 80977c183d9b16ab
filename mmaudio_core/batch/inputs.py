"""The files that items are made of."""

from __future__ import annotations

import hashlib
import os

from ..errors import MediaError
from .stages import InputFacts

_BLOCK = 1 << 20


def input_facts(video: str, *, read: bool) -> InputFacts:
    """Size and time of a file, and the digest of its content if it is to be read.

    Raises:
        MediaError: there is no such file.
    """
    try:
        status = os.stat(video)
        digest = _digest(video) if read else None
    except OSError as error:
        raise MediaError(
            f"'{video}' cannot be read ({error.strerror}); expected a video file. Check the path."
        ) from None
    return InputFacts(size=status.st_size, changed=status.st_mtime_ns, digest=digest)


def is_unchanged(video: str, before: InputFacts) -> bool:
    """Whether a file is the one it was; if its time alone differs, its content is compared."""
    try:
        now = input_facts(video, read=False)
        if now.size != before.size:
            return False
        if now.changed is not None and now.changed == before.changed:
            return True
        return input_facts(video, read=True).digest == before.digest
    except MediaError:
        return False


def _digest(path: str) -> str:
    digest = hashlib.blake2b(digest_size=20)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
