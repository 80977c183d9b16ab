"""A folder of recordings: which files are in it, and what each of them sounds like in words."""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, cast

from ..errors import MediaError

_CAPTION_FILES = frozenset({".txt", ".jsonl", ".json", ".csv", ".md"})
_FILE_KEYS = ("file_name", "file", "filename", "path", "video", "audio")
_CAPTION_KEYS = ("caption", "text", "prompt")
_MAX_LISTED_BYTES = 64 * 1024 * 1024
_MAX_CAPTION = 2000  # letters: more than CLIP reads


@dataclass(frozen=True, kw_only=True)
class ListedFile:
    """A file that may be a recording.

    Attributes:
        path: where it is.
        name: path relative to the folder, with ``/`` on every system, as it can be shown.
        caption: what it sounds like, in a line.
    """

    path: Path
    name: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What is in a folder, and what of it is left out, a sentence each."""

    files: tuple[ListedFile, ...]
    left_out: tuple[str, ...]


def find_subfolder(root: Path, name: str) -> Path:
    """The folder ``name`` below ``root``.

    Raises:
        MediaError: it is none, or lies elsewhere: through ``..``, as an absolute path, or through
            a link.
    """
    parts = PureWindowsPath(name).parts  # knows both separators, and drives
    windows, posix = PureWindowsPath(name), PurePosixPath(name)
    elsewhere = windows.drive or windows.root or posix.is_absolute() or ".." in parts
    if not elsewhere and parts:
        folder = root.joinpath(*parts)
        if not folder.is_dir():
            raise MediaError(
                f"got the folder {name!r}, but there is none of that name in the input folder; "
                "expected a folder of recordings"
            )
        elsewhere = root.resolve() not in folder.resolve().parents
        if not elsewhere:
            return folder
    raise MediaError(
        f"got the folder {name!r}, expected a folder inside the input folder: neither the input "
        "folder itself, nor a path or link that leads out of it"
    )


def list_recordings(folder: Path) -> Listing:
    """Files of a folder and the folders in it, with their captions.

    A caption is the text of ``name.txt`` beside ``name.mp4``; else that of a line of a ``.jsonl``
    file with ``file_name`` and ``caption``; else the file's name.
    """
    listed, left_out = _read_lists(folder)
    files: list[ListedFile] = []
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if path.suffix.lower() in _CAPTION_FILES:
            continue
        if folder.resolve() not in path.resolve().parents:
            left_out.append(f"{name}: a link that leads out of the folder")
            continue
        if not path.is_file():  # reading a pipe would wait forever
            left_out.append(f"{name}: no regular file")
            continue
        caption = _beside(path)
        if caption is None:
            caption = listed.get(name) or listed.get(path.name) or caption_of_name(path.stem)
        caption = _one_line(caption)[:_MAX_CAPTION]
        files.append(ListedFile(path=path, name=_one_line(name), caption=caption))
    return Listing(files=tuple(files), left_out=tuple(map(_one_line, left_out)))


def caption_of_name(stem: str) -> str:
    """``door_slam-03`` as words: ``door slam``."""
    words = re.sub(r"[\W_]+", " ", stem).split()
    while len(words) > 1 and words[-1].isdigit():
        words.pop()
    return " ".join(words)


def _walk(folder: Path) -> Iterator[Path]:
    """Files in a fixed order; hidden ones and linked folders are not entered."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(root, name)


def _beside(path: Path) -> str | None:
    """The text of the file of that name that ends in .txt."""
    for stem in (path.stem, path.name):
        for ending in (".txt", ".TXT"):
            text = path.with_name(stem + ending)
            if text.is_file() and path.parent.resolve() in text.resolve().parents:
                return _read_text(text)
    return None


def _read_text(path: Path) -> str:
    """The text of a file, with a mark of its encoding or without: Windows writes all of these."""
    with path.open("rb") as file:
        content = file.read(_MAX_LISTED_BYTES)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _one_line(text: str) -> str:
    """A text without line breaks, control characters and halves of characters (surrogates)."""
    whole = text.encode("utf-8", "replace").decode()
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", whole).split())


def _read_lists(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Captions by file name of all .jsonl files of the folder, and what is wrong with them."""
    captions: dict[str, str] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.jsonl")):
        inside = path.is_file() and folder.resolve() in path.resolve().parents
        if not inside or path.stat().st_size > _MAX_LISTED_BYTES:
            problems.append(f"{path.name}: no file of the folder itself, or too large")
            continue
        for number, line in enumerate(_read_text(path).split("\n"), 1):
            if not line.strip():
                continue
            entry = _entry(line)
            if entry is None:
                problems.append(
                    f"{path.name}, line {number}: expected a JSON object with file_name and caption"
                )
            else:
                captions[entry[0]] = entry[1]
    return captions, problems


def _entry(line: str) -> tuple[str, str] | None:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    entry = cast(dict[str, Any], value)
    file = next((entry[key] for key in _FILE_KEYS if isinstance(entry.get(key), str)), None)
    text = next((entry[key] for key in _CAPTION_KEYS if isinstance(entry.get(key), str)), None)
    if file is None or text is None:
        return None
    return str(file).replace("\\", "/").removeprefix("./"), str(text)
