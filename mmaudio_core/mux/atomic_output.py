"""Output files that appear complete or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias

import av
from av.container import OutputContainer
from av.error import FFmpegError

from ..errors import MediaError
from ..media.container import error_text
from ..partial_files import partial_file
from .output_name import NumberedName, publish

_LIBAV_FORMATS = {
    "mp4": "mp4",
    "mov": "mov",
    "mkv": "matroska",
    "webm": "webm",
    "m4a": "ipod",
    "flac": "flac",
}
"""libav's name of each container's muxer."""


Patch: TypeAlias = Callable[[BinaryIO], None]
"""Changes a few bytes of a finished file, open for reading and writing."""


@dataclass(kw_only=True)
class OutputFile:
    """A file being written.

    Attributes:
        container: what to write to.
        path: where it will be if nothing else takes that name; in the end, where it is.
        patches: what libav cannot write, applied to the closed file before it appears.
    """

    container: OutputContainer
    path: Path
    patches: list[Patch] = field(default_factory=lambda: [])


class PacketsRefused(MediaError):
    """The muxer does not take what is written into the file.

    Attributes:
        reason: libav's words.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"'{path}' could not be written: the container refused the video's packets ({reason})."
            " The video may be damaged: export it again."
        )
        self.reason = reason


def open_output(
    file: str | io.BytesIO | io.RawIOBase, suffix: str, options: Mapping[str, str] | None = None
) -> OutputContainer:
    """Open a container for writing; ``options`` are its muxer's.

    "Unofficial" lets mp4 hold Dolby Vision, stereo 3D and spherical video, as players expect.
    """
    settings = {"strict": "unofficial", **(options or {})}
    return av.open(file, "w", format=_LIBAV_FORMATS[suffix], container_options=settings)


@contextmanager
def atomic_output(
    target: Path | NumberedName,
    suffix: str,
    metadata: Mapping[str, str],
    options: Mapping[str, str] | None = None,
) -> Generator[OutputFile, None, None]:
    """Open a container that gets its name if the block ends without error.

    Until then it is a hidden file in the same folder, deleted if anything is raised.

    Args:
        target: the path without its suffix, or a numbered name.
        suffix: mp4, mov, mkv, webm, m4a or flac.
        metadata: tags of the file; mp4, mov and m4a store them under these very names.
        options: of libav's muxer.

    Raises:
        PacketsRefused: if libav refuses what is written.
        MediaError: if the file system does.
    """
    path = _expected(target, suffix)
    settings = dict(options or {})
    if suffix in ("mp4", "mov", "m4a"):
        settings["movflags"] = "+faststart" + ("+use_metadata_tags" if metadata else "")
    with ExitStack() as stack:
        try:
            partial = stack.enter_context(partial_file(path.parent))
            container = open_output(os.fspath(partial), suffix, settings)
        except (FFmpegError, OSError) as error:
            raise _write_error(path, error) from error
        output = OutputFile(container=container, path=path)
        try:
            try:
                container.metadata.update(metadata)
                yield output
            except BaseException:
                with suppress(FFmpegError):  # the first error counts
                    container.close()
                raise
            container.close()
        except FFmpegError as error:
            raise _write_error(path, error) from error
        try:
            if output.patches:
                with partial.open("r+b") as file:
                    for patch in output.patches:
                        patch(file)
            output.path = publish(partial, target, suffix)
        except OSError as error:
            raise _write_error(path, error) from error


def _expected(target: Path | NumberedName, suffix: str) -> Path:
    if isinstance(target, NumberedName):
        return next(target.paths(suffix))
    return target.with_name(f"{target.name}.{suffix}")


def _write_error(path: Path, error: FFmpegError | OSError) -> MediaError:
    if isinstance(error, ValueError):  # libav's EINVAL and "invalid data"
        return PacketsRefused(path, error_text(error))
    return MediaError(
        f"'{path}' could not be written ({error_text(error)}); expected an existing folder with"
        " write permission and free space. Free some space or choose another folder."
    )
