"""The files that items are made of."""

from __future__ import annotations

import os
import stat
from dataclasses import replace

from ..errors import MediaError
from ..file_identity import content_digest
from ..media import PathOrBytes, open_source
from .item import is_url
from .remote import RemoteFile
from .stages import InputFacts


def open_video(video: str) -> PathOrBytes:
    """What ``open_source`` takes for an item's video."""
    return RemoteFile(video) if is_url(video) else video


def input_facts(video: str, *, read: bool) -> InputFacts:
    """Size and time of a file, and the digest of its content if it is to be read.

    Raises:
        MediaError: there is no such file.
    """
    if is_url(video):
        remote = RemoteFile(video)
        facts = remote.facts()
        if facts.changed is not None or not read:
            return facts
        with remote.open() as file:
            return replace(facts, digest=content_digest(file))
    try:
        status = os.stat(video)
        digest = None
        if read:
            if not stat.S_ISREG(status.st_mode):  # a pipe would block whoever opens it
                open_source(video).info  # noqa: B018 (raises what says what it is)
            with open(video, "rb") as file:
                digest = content_digest(file)
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
        return before.digest is not None and (input_facts(video, read=True).digest == before.digest)
    except MediaError:
        return False
