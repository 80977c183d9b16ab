"""One thing to do: a video, or a prompt alone, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..errors import MMAudioError
from .options import CONTAINERS, ItemOptions

STATE = ".mmaudio"
"""The folder below that of the results in which a run keeps what it needs to go on."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_UNSAFE = re.compile(r'[\x00-\x1f\\:*?"<>|]')
_SUFFIXES = tuple(f".{name}" for name in CONTAINERS if name != "auto")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of a manifest, or one video.

    Attributes:
        video: path or URL; None for sound from the prompt alone.
        out: name of the result below the folder of results, with ``/``, without a suffix.
        options: how it is made.
        line: of the manifest, counted from 1; None if there is none.
    """

    video: str | None
    out: str
    options: ItemOptions
    line: int | None = None

    @property
    def names(self) -> list[str]:
        """Names of its files, one per take, without suffixes."""
        if self.options.takes == 1:
            return [self.out]
        return [f"{self.out}_take{take}" for take in range(self.options.takes)]

    def __str__(self) -> str:
        """What messages call it."""
        place = "" if self.line is None else f"line {self.line}: "
        return f"{place}{self.out if self.video is None else self.video}"


def is_url(path: str) -> bool:
    """Whether a path names a scheme, such as ``s3://``; one letter is a drive of Windows."""
    return _URL.match(path) is not None


def file_name(video: str) -> str:
    """The last part of a path or URL, without what a server is asked."""
    if is_url(video):
        video = video.split("?", maxsplit=1)[0].split("#", maxsplit=1)[0]
    else:
        video = video.replace("\\", "/") if "\\" in video and "/" not in video else video
    return video.rstrip("/").rsplit("/", 1)[-1]


def name_of(path: str) -> str:
    """The name of a result from the relative path of its input: without the suffix, safe."""
    pure = PurePosixPath(path)
    return _UNSAFE.sub("_", str(pure.with_suffix("")) if pure.suffix else str(pure))


def split_out(out: str) -> tuple[str, str | None]:
    """A name that a manifest gives, and the container that its suffix names, if it does.

    Raises:
        MMAudioError: it is no name below a folder.
    """
    container = None
    for suffix in _SUFFIXES:
        if out.lower().endswith(suffix):
            out, container = out[: -len(suffix)], suffix[1:]
            break
    parts = out.split("/")
    if _UNSAFE.search(out) or any(
        part in ("", ".", "..") or part != part.strip() for part in parts
    ):
        raise MMAudioError(
            f"got the name {out!r}, expected one below the folder of results, such as day1/clip: "
            'no empty part, no . or .., none of \\ : * ? " < > |'
        )
    if parts[0] == STATE:
        raise MMAudioError(f"got the name {out!r}, but {STATE} is where a run keeps its records")
    return out, container


def check_names(items: Iterable[Item]) -> None:
    """Raise MMAudioError if two items would be written to one name.

    Names that differ in case alone are one file on some systems.
    """
    seen: dict[str, Item] = {}
    for item in items:
        for name in {item.out, *item.names}:
            first = seen.setdefault(name.casefold(), item)
            if first is not item:
                raise MMAudioError(
                    f"{first} and {item} would both be written to {name!r}: results are named as "
                    'their inputs. Give each of them a name of its own, as "out" in a manifest'
                )
