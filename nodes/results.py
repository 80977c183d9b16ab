"""Results in the output folder: their names, checked before the work, and a file per take."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import folder_paths
from torch import Tensor

from ..mmaudio_core.errors import MediaError
from ..mmaudio_core.mux import NumberedName
from ..mmaudio_core.progress import Progress
from .feedback import NodeProgress

Result = TypeVar("Result")

_DEFAULT = "mmaudio"
_MAX_NAME = 255  # bytes, on nearly every file system
_ENDING = len("_4294967295_.webm")
_MAX_PATH = 4000
_NOT_ON_WINDOWS = '<>:"|?*'


def result_name(prefix: str) -> tuple[NumberedName, str]:
    """The name of a result, and the subfolder of the output folder that it is in.

    The folder is made. The number is the next one by ComfyUI's own rules.

    Raises:
        MediaError: no file can have that name, or it is outside the output folder.
    """
    cleaned = check_prefix(prefix)
    try:
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            cleaned, folder_paths.get_output_directory()
        )
    except Exception as error:  # ComfyUI raises no narrower one for a folder outside of output
        raise _refusal(prefix, f"which cannot be written to ({error})") from error
    return NumberedName(folder=Path(folder), prefix=name, first=counter), subfolder


def write_takes(
    takes: Sequence[Tensor],
    name: NumberedName,
    write: Callable[[Tensor, NumberedName, Progress], Result],
) -> list[Result]:
    """Write a file per take, numbered from that of ``name`` on, with one progress bar for all."""
    progress = NodeProgress({str(number): 1 for number in range(len(takes))})

    def write_one(number: int, take: Tensor) -> Result:
        def of_take(_stage: str, done: int, total: int, /) -> None:
            progress(str(number), done, total)

        return write(take, replace(name, first=name.first + number), of_take)

    return [write_one(number, take) for number, take in enumerate(takes)]


def check_prefix(prefix: str) -> str:
    """``prefix`` as a path of folders and a name, which is given if it lacks one.

    Raises:
        MediaError: as ``result_name``, as far as it can be told without making a folder.
    """
    try:
        prefix.encode()
    except UnicodeEncodeError:
        raise _refusal(ascii(prefix)[1:-1], "which is not Unicode text") from None
    if any(ord(letter) < 32 for letter in prefix):
        raise _refusal(ascii(prefix)[1:-1], "which holds control characters")
    if os.name == "nt" and set(prefix[2:]) & set(_NOT_ON_WINDOWS):
        raise _refusal(prefix, f"but names on Windows hold none of {_NOT_ON_WINDOWS}")
    folder, name = os.path.split(prefix)
    name = name.lstrip(". ") or _DEFAULT  # a hidden file would be found by nobody
    path = os.path.normpath(os.path.join(folder, name))
    output = Path(folder_paths.get_output_directory()).absolute()
    target = Path(os.path.abspath(output / path))
    if output not in target.parents:
        raise _refusal(prefix, "but saving outside the output folder is not allowed")
    long = [part for part in Path(path).parts if len(os.fsencode(part)) > _MAX_NAME - _ENDING]
    if long or len(os.fsencode(target)) > _MAX_PATH:
        raise _refusal(prefix, f"which is too long; names have at most {_MAX_NAME - _ENDING} bytes")
    existing = next(folder for folder in target.parents if os.path.exists(folder))
    if not existing.is_dir():
        raise _refusal(prefix, f"but {existing} is a file and no folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise _refusal(prefix, f"but {existing} cannot be written to")
    return path


def _refusal(prefix: str, reason: str) -> MediaError:
    shown = prefix if len(prefix) <= 100 else f"{prefix[:100]}..."
    return MediaError(
        f"filename_prefix: got {shown!r}, {reason}; expected a folder and the start of a file name "
        "under ComfyUI's output folder. Change filename_prefix."
    )
