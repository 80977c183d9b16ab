"""From what a user names (videos, folders, patterns, manifests) to items."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from ..errors import MediaError, MMAudioError
from .item import Item, check_names, file_name, folded, is_url, name_of
from .manifest import read_manifest
from .options import ItemOptions
from .remote import list_remote, not_utf8, read_text

log = logging.getLogger(__name__)

MANIFEST = ".jsonl"
VIDEO_ENDINGS = (
    *(".3gp", ".asf", ".avi", ".dv", ".flv", ".gif", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov"),
    *(".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".webp", ".wmv"),
)
"""Of the files that are looked for in a folder; a file that is named itself may have any."""


def expand(sources: Sequence[str], defaults: ItemOptions, results: Path | None) -> list[Item]:
    """The items that sources stand for, in their order; those of a folder sorted by name.

    Results are named as their inputs: the files of a folder, or of a pattern, by their path below
    it.

    Args:
        sources: videos, folders, patterns such as ``clips/*.mp4``, URLs, and manifests (.jsonl).
        defaults: options of the command line.
        results: the folder that the results go to, which is not searched.

    Raises:
        MMAudioError: a source is not there or holds nothing, two results would have one name, or
            a result would replace an input.
    """
    items = [item for source in sources for item in _expand(source, defaults, results)]
    check_names(items)
    if results is not None:
        _check_inputs(items, results)
    return items


def _expand(source: str, defaults: ItemOptions, results: Path | None) -> Iterable[Item]:
    if file_name(source).lower().endswith(MANIFEST):
        return _read(source, defaults)
    if is_url(source):
        return _remote(source, defaults)
    if os.path.isfile(source):
        return [Item(video=source, out=name_of(file_name(source)), options=defaults)]
    if os.path.isdir(source):
        root, found = source, [*filter(_may_be_video, _files_below(source, results))]
    elif glob.has_magic(source):
        root = _fixed_part(source)
        found = _matching(source, root, results)
    else:
        raise MMAudioError(f"'{source}' does not exist; expected a video, a folder or a manifest")
    if not found:
        raise MMAudioError(f"found no video in '{source}'")
    return [
        Item(
            video=path,
            out=name_of(Path(os.path.relpath(path, root)).as_posix()),
            options=defaults,
        )
        for path in sorted(found)
    ]


def _remote(source: str, defaults: ItemOptions) -> list[Item]:
    found = list_remote(source)
    if source not in found:
        found = {
            url: name
            for url, name in found.items()
            if os.path.splitext(name)[1].lower() in VIDEO_ENDINGS
        }
    if not found:
        raise MMAudioError(f"found no video in '{source}'")
    return [Item(video=url, out=name_of(name), options=defaults) for url, name in found.items()]


def _read(source: str, defaults: ItemOptions) -> list[Item]:
    if is_url(source):
        folder = source.split("?", maxsplit=1)[0].rpartition("/")[0]
        return read_manifest(read_text(source), source, defaults, folder)
    try:
        with open(source, encoding="utf-8-sig") as file:
            text = file.read()
    except OSError as error:
        raise MediaError(f"the manifest '{source}' cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise not_utf8(source, error) from None
    return read_manifest(text, source, defaults, os.path.dirname(source))


def _may_be_video(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in VIDEO_ENDINGS


def _files_below(folder: str, results: Path | None) -> list[str]:
    """All files; hidden ones and what a run wrote are left out.

    A folder that can be reached in several ways, by links, is searched once; those below
    ``folder`` under the names that they have there.
    """
    found: list[str] = []
    root, left_out = os.path.realpath(folder), _left_out(folder, results)
    seen: set[str] = set()
    for path, folders, files in os.walk(folder, onerror=_tell, followlinks=True):
        real = os.path.realpath(path)
        is_link = real != os.path.normpath(os.path.join(root, os.path.relpath(path, folder)))
        if real in seen or (is_link and _is_below(real, root)) or _is_below(real, left_out):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.join(path, name) for name in files if not name.startswith(".")]
    return found


def _matching(pattern: str, root: str, results: Path | None) -> list[str]:
    """Files that a pattern matches, each once, under the shortest of its names."""
    parts = Path(os.path.relpath(pattern, root)).parts
    if "**" in parts:  # glob would follow links in circles
        files = _files_below(root, results)
        return [path for path in files if _fits(Path(os.path.relpath(path, root)).parts, parts)]
    left_out = _left_out(root, results)
    found: dict[str, str] = {}
    for path in sorted(glob.glob(pattern), key=lambda path: (len(path), path)):
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if not os.path.isdir(path) and not _is_below(real, left_out):
            found.setdefault(real, path)
    return [*found.values()]


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path fits a pattern, ``**`` of which stands for any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[count:], pattern[1:]) for count in range(len(parts) + 1))
    return bool(parts) and fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _left_out(root: str, results: Path | None) -> str | None:
    """The folder of results as it is left out of a search; None if all is searched below it."""
    if results is None or _is_below(root, os.path.realpath(results)):
        return None
    return os.path.realpath(results)


def _is_below(path: str, folder: str | None) -> bool:
    """Whether a path leads to ``folder``, which has no links, or to something in it."""
    return folder is not None and Path(os.path.realpath(path)).is_relative_to(folder)


def _tell(error: OSError) -> None:
    log.warning("'%s' is left out: it cannot be listed (%s)", error.filename, error.strerror)


def _fixed_part(pattern: str) -> str:
    """The folder before the first wildcard."""
    parts: list[str] = []
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return os.path.join(*parts) if parts else "."


def _check_inputs(items: Sequence[Item], results: Path) -> None:
    """Raise MMAudioError if a result could replace a video: their names are one but for the end."""
    folder = os.path.realpath(results)
    inputs: dict[str, str] = {}
    real_path = cache(os.path.realpath)  # of many files in few folders
    for item in items:
        if item.video is not None and not is_url(item.video):
            above, name = os.path.split(item.video)
            stem = os.path.join(real_path(above), os.path.splitext(name)[0])
            inputs[folded(stem)] = item.video
    for item in items:
        for name in item.names:
            video = inputs.get(folded(os.path.join(folder, *name.split("/"))))
            if video is not None:
                raise MMAudioError(
                    f"the result {name!r} would lie beside its input '{video}' under the same "
                    "name, expected another folder of results"
                )
