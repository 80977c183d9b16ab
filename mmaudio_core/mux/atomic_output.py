"""What writing a file gives back, and how a file appears: whole or not at all."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError

from ..errors import MediaError
from ..media.container import error_text

FORMATS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm"}
"""File suffix -> libav's name of the container."""
_HALF = ".mmaudio-"
"""How names of files begin that are not complete."""
_OLD = 24 * 60 * 60
"""Seconds without a change after which nobody is writing a file any more."""


@dataclass(frozen=True, kw_only=True)
class MuxResult:
    """A file that was written.

    Args:
        path: where it is.
        video_codec: the picture's codec, for instance ``h264``.
        container: mp4, mov, mkv or webm, also the file's suffix.
        notes: what the user should know, a sentence each.
    """

    path: Path
    video_codec: str
    container: str
    notes: tuple[str, ...]


@contextmanager
def atomic_output(
    path_stem: Path, suffix: str, metadata: Mapping[str, str] | None = None
) -> Generator[tuple[OutputContainer, Path], None, None]:
    """A container to write into, which becomes ``<path_stem>.<suffix>`` when the block ends well.

    Until then it has a hidden name in the same folder; whatever is raised, that file goes. One
    that a killed process left goes when the next file is written there a day later or more.

    Args:
        metadata: what the file says of itself; in mp4 and mov under names of one's own.

    Raises:
        MediaError: when the file system or libav refuses to write.
    """
    path = path_stem.with_name(f"{path_stem.name}.{suffix}")
    # A short name of its own: the final one may already be as long as the file system allows.
    half = path.with_name(f"{_HALF}{uuid.uuid4().hex}.tmp")
    _clear(path.parent)
    options: dict[str, str] = {}
    if suffix in ("mp4", "mov"):
        options["movflags"] = "+faststart" + ("+use_metadata_tags" if metadata else "")
    try:
        container = av.open(os.fspath(half), "w", format=FORMATS[suffix], options=options)
        try:
            container.metadata.update(metadata or {})
            yield container, path
        except BaseException:
            # Closing what is half written may fail once more; what was raised first counts.
            with suppress(FFmpegError):
                container.close()
            raise
        container.close()
        _rename(half, path)
    except FFmpegError as error:
        raise _refused(path, error) from error
    finally:
        with suppress(OSError):  # what was raised counts, not that nothing could be removed
            half.unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    """Remove what killed processes left; what is still being written is younger."""
    with suppress(OSError):
        for left in folder.glob(f"{_HALF}*.tmp"):
            if time.time() - left.stat().st_mtime > _OLD:
                left.unlink()


def _rename(half: Path, path: Path) -> None:
    try:
        os.replace(half, path)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: FFmpegError | OSError) -> MediaError:
    if isinstance(error, ValueError):  # libav's EINVAL and "invalid data"
        return MediaError(
            f"'{path}' could not be written: the container refused the video's packets"
            f" ({error_text(error)}); expected packets in order. The video may be damaged: export"
            " it again."
        )
    return MediaError(
        f"'{path}' could not be written ({error_text(error)}); expected a folder that exists, may"
        " be written to and has room. Free some space or choose another folder."
    )
