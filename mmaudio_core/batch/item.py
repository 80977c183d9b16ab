"""One thing to do: a video, or a prompt alone, and what becomes of it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..errors import MMAudioError
from .options import CONTAINERS, ItemOptions

STATE = ".mmaudio"
"""The folder below that of the results in which a run keeps what it needs to go on."""
_MAX_FAULTS = 20
"""Most items that one message names."""
_MAX_BYTES = 240
"""Of a part of a name: file systems take 255, some of which the take and the suffix need."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_UNSAFE = re.compile(r'[\x00-\x1f\\:*?"<>|]')
_SUFFIXES = tuple(f".{name}" for name in CONTAINERS if name != "auto")
_OTHER_SUFFIXES = (
    *(".aac", ".aif", ".aiff", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mp3", ".mpeg", ".mpg"),
    *(".mts", ".oga", ".ogg", ".ogv", ".opus", ".ts", ".wav", ".webp", ".wma", ".wmv"),
)
"""Of files that are not written; what else follows a dot belongs to the name."""


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


def folded(name: str) -> str:
    """The same for all names that are one file on some system: in whatever case and normal form."""
    return unicodedata.normalize("NFC", name).casefold()


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
    if out.lower().endswith(_OTHER_SUFFIXES):
        raise MMAudioError(
            f"got the name {out!r}, expected one that ends in {', '.join(_SUFFIXES)}, or in none "
            "of a file"
        )
    if _UNSAFE.search(out) or any(
        part in ("", ".", "..") or part != part.strip() for part in parts
    ):
        raise MMAudioError(
            f"got the name {out!r}, expected one below the folder of results, such as day1/clip: "
            'no empty part, no . or .., none of \\ : * ? " < > |'
        )
    if folded(parts[0]) == STATE:
        raise MMAudioError(f"got the name {out!r}, but {STATE} is where a run keeps its records")
    return out, container


def check_names(items: Iterable[Item]) -> None:
    """Raise MMAudioError if items have names that are too long, or that another one has.

    Names that differ in case alone, or in how their accents are stored, are one file on some
    systems.
    """
    seen: dict[str, Item] = {}
    long: list[str] = []
    doubles: list[str] = []
    for item in items:
        length = max(len(part.encode(errors="replace")) for part in item.out.split("/"))
        if length > _MAX_BYTES:
            long.append(f"{item}: got a name of {length} bytes, expected at most {_MAX_BYTES}")
        for name in dict.fromkeys((item.out, *item.names)):
            first = seen.setdefault(folded(name), item)
            if first is not item:
                doubles.append(f"{first} and {item} would both be written to {name!r}")
                break
    faults = [*long, *doubles]
    if faults:
        raise MMAudioError(
            f"{as_lines(faults)}\nResults are named as their inputs. Give each of them a name of "
            'its own, as "out" in a manifest'
        )


def as_lines(faults: Sequence[str]) -> str:
    """The first of many faults, a line each."""
    more = len(faults) - _MAX_FAULTS
    return "\n".join([*faults[:_MAX_FAULTS], *([f"... and {more} more"] if more > 0 else [])])
