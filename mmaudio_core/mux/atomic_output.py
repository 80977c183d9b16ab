"""Output files that appear complete or not at all."""

from __future__ import annotations

import io
import os
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias

import av
from av.container import OutputContainer
from av.error import FFmpegError

from ..errors import MediaError
from ..media.container import error_text

_LIBAV_FORMATS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm"}
"""libav's name of each container's muxer."""
_PARTIAL_PREFIX = ".mmaudio-"
_ABANDONED_AFTER = 24 * 60 * 60
"""Seconds without a change after which nobody is writing a partial file any more."""


Patch: TypeAlias = Callable[[BinaryIO], None]
"""Changes a few bytes of a finished file, open for reading and writing."""


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file being written.

    Attributes:
        container: what to write to.
        path: where it will be.
        patches: what libav cannot write, applied to the closed file before it appears.
    """

    container: OutputContainer
    path: Path
    patches: list[Patch] = field(default_factory=lambda: [])


def open_output(
    file: str | io.BytesIO, suffix: str, options: Mapping[str, str] | None = None
) -> OutputContainer:
    """Open a container for writing; ``options`` are its muxer's.

    "Unofficial" lets mp4 hold Dolby Vision, stereo 3D and spherical video, as players expect.
    """
    settings = {"strict": "unofficial", **(options or {})}
    return av.open(file, "w", format=_LIBAV_FORMATS[suffix], container_options=settings)


@contextmanager
def atomic_output(
    path_stem: Path, suffix: str, metadata: Mapping[str, str]
) -> Generator[OutputFile, None, None]:
    """Open a container that becomes ``<path_stem>.<suffix>`` if the block ends without error.

    Until then it is a hidden file in the same folder, deleted if anything is raised. Partial files
    of killed processes are deleted when a file is written to their folder a day later or more.

    Args:
        path_stem: the path without its suffix.
        suffix: mp4, mov, mkv or webm.
        metadata: tags of the file; mp4 and mov store them under these very names.

    Raises:
        MediaError: if the file system or libav refuses to write.
    """
    path = path_stem.with_name(f"{path_stem.name}.{suffix}")
    # A short name: the final one may already be as long as the file system allows.
    partial = path.with_name(f"{_PARTIAL_PREFIX}{uuid.uuid4().hex}.tmp")
    _delete_abandoned(path.parent)
    options: dict[str, str] = {}
    if suffix in ("mp4", "mov"):
        options["movflags"] = "+faststart" + ("+use_metadata_tags" if metadata else "")
    try:
        container = open_output(os.fspath(partial), suffix, options)
        output = OutputFile(container=container, path=path)
        try:
            container.metadata.update(metadata)
            yield output
        except BaseException:
            with suppress(FFmpegError):  # the first error counts
                container.close()
            raise
        container.close()
        _finish(partial, output)
    except FFmpegError as error:
        raise _write_error(path, error) from error
    finally:
        with suppress(OSError):  # the first error counts
            partial.unlink(missing_ok=True)


def _delete_abandoned(folder: Path) -> None:
    with suppress(OSError):
        for partial in folder.glob(f"{_PARTIAL_PREFIX}*.tmp"):
            if time.time() - partial.stat().st_mtime > _ABANDONED_AFTER:
                partial.unlink()


def _finish(partial: Path, output: OutputFile) -> None:
    try:
        if output.patches:
            with partial.open("r+b") as file:
                for patch in output.patches:
                    patch(file)
        os.replace(partial, output.path)
    except OSError as error:
        raise _write_error(output.path, error) from error


def _write_error(path: Path, error: FFmpegError | OSError) -> MediaError:
    if isinstance(error, ValueError):  # libav's EINVAL and "invalid data"
        return MediaError(
            f"'{path}' could not be written: the container refused the video's packets"
            f" ({error_text(error)}). The video may be damaged: export it again."
        )
    return MediaError(
        f"'{path}' could not be written ({error_text(error)}); expected an existing folder with"
        " write permission and free space. Free some space or choose another folder."
    )
