"""Manifests: a JSON object a line, each of them one item."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, cast

from ..errors import MMAudioError
from .item import Item, as_lines, check_names, file_name, is_url, name_of, split_out
from .options import OPTIONS, ItemOptions

_OF_THE_RUN = ("model", "precision", "device", "weights")
_KEYS = ("video", "out", *OPTIONS)
_QUOTED = 60
"""Characters of a value, or of a key, that a message quotes."""
_LINE_END = re.compile("\r\n|\r|\n")  # what JSON may not hold as it is, unlike U+2028


class ManifestError(MMAudioError):
    """Lines of a manifest that cannot be used, each named in the message."""


def read_manifest(text: str, name: str, defaults: ItemOptions, folder: str = "") -> list[Item]:
    """The items of a manifest.

    A line is an object with ``video`` (a path or URL; relative ones are beside the manifest),
    ``out`` (the name of the result; by default that of the video, a relative path with its
    folders) and any of ``OPTIONS``. Empty lines are skipped.

    Args:
        text: its content.
        name: what messages call it.
        defaults: options of the lines that do not give them.
        folder: of the manifest, a path or URL that relative videos are looked for in.

    Raises:
        ManifestError: a line is no such object, or two results have one name.
    """
    items: list[Item] = []
    faults: list[str] = []
    for number, line in enumerate(_LINE_END.split(text), 1):
        if not line.strip():
            continue
        try:
            items.append(_read_line(line, number, defaults, folder))
        except MMAudioError as error:
            faults.append(f"{name}, line {number}: {error}")
    if faults:
        raise ManifestError(as_lines(faults))
    if not items:
        raise ManifestError(f"{name} holds no line, expected one for each item")
    try:
        check_names(items)
    except MMAudioError as error:
        raise ManifestError(f"{name}: {error}") from None
    return items


def _read_line(line: str, number: int, defaults: ItemOptions, folder: str) -> Item:
    entry = _parse(line)
    faults = list(_unknown_keys(entry))
    given: dict[str, Any] = {}
    for key, option in OPTIONS.items():
        if key in entry:
            try:
                given[key] = option.read(entry[key])
            except ValueError:
                faults.append(f'"{key}" is {_shown(entry[key])}, expected {option.expected}')
    for key in ("video", "out"):
        if key in entry and not _is_path(entry[key]):
            what = "a path or URL" if key == "video" else "a name"
            faults.append(f'"{key}" is {_shown(entry[key])}, expected {what}')
    if faults:
        raise MMAudioError("; ".join(faults))
    return _make_item(entry, given, number, defaults, folder)


def _parse(line: str) -> Mapping[str, Any]:
    try:
        entry: object = json.loads(line, object_pairs_hook=_unique_keys, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise MMAudioError(
            f"got what is no JSON (column {error.colno}: {error.msg}), expected an object such as "
            '{"video": "clip.mp4", "prompt": "rain"}'
        ) from None
    except MMAudioError:
        raise
    except ValueError as error:  # Python reads no number of so many digits
        raise MMAudioError(f"got what is no JSON ({error}), expected shorter numbers") from None
    except RecursionError:
        raise MMAudioError("got JSON that is nested too deeply, expected an object") from None
    if not isinstance(entry, dict):
        raise MMAudioError(f"got {_shown(entry)}, expected an object")
    return cast(dict[str, Any], entry)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise MMAudioError(f"got {_shown(double)} twice, expected each key once")
    return entry


def _no_number(text: str) -> float:
    raise MMAudioError(f"got {text}, expected a number of JSON")


def _shown(value: object) -> str:
    """A value of a line as a message quotes it: as JSON, but not at length."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."


def _is_path(value: object) -> bool:
    """Whether a value is text that can name a file."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _unknown_keys(entry: Mapping[str, Any]) -> Iterator[str]:
    for key in entry:
        if key in _KEYS:
            continue
        if key in _OF_THE_RUN:
            yield f'"{key}" is for the whole run, expected as --{key}'
            continue
        near = difflib.get_close_matches(key[:_QUOTED], (*_KEYS, *_OF_THE_RUN), 1, 0)
        yield f'there is no key {_shown(key)}; the nearest is "{near[0]}"'


def _make_item(
    entry: Mapping[str, Any],
    given: Mapping[str, Any],
    number: int,
    defaults: ItemOptions,
    folder: str,
) -> Item:
    options = replace(defaults, **given) if given else defaults
    video: str | None = entry.get("video")
    if "out" in entry:
        out, container = split_out(entry["out"])
        if container is not None and "container" in given and given["container"] != container:
            raise MMAudioError(
                f'"out" ends in .{container}, but "container" is {given["container"]}, expected '
                "one of them"
            )
        if container is not None:
            options = replace(options, container=container)
    elif video is None:
        raise MMAudioError('there is neither "video" nor "out", expected a name for the result')
    else:
        out = _default_out(video)
    if video is None and not options.duration:
        raise MMAudioError('there is no "video", expected a "duration" in seconds')
    if video is None and options.sound_format is None:
        options = replace(options, audio_only=True)
    return Item(video=_locate(video, folder), out=out, options=options, line=number)


def _default_out(video: str) -> str:
    """Two folders of a data set often hold files of the same names, so these are kept."""
    pure = PurePosixPath(video.replace("\\", "/"))
    if is_url(video) or pure.is_absolute() or ".." in pure.parts or ":" in "".join(pure.parts[:1]):
        out = name_of(file_name(video))
    else:
        out = name_of(str(pure))
    if out in ("", ".", ".."):
        raise MMAudioError(f'{_shown(video)} gives the result no name, expected "out" beside it')
    return out


def _locate(video: str | None, folder: str) -> str | None:
    if video is None or not folder or is_url(video):
        return video
    if PurePosixPath(video).is_absolute() or os.path.isabs(video):
        return video
    return f"{folder.rstrip('/')}/{video}"
