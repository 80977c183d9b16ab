"""Labels: what is looked for in a picture, and what a prompt then says; read from a text file.

A file has sections of lines, and lines of comments, which begin with ``#``::

    [animals] a photo of {}
    a barking dog: dog barking
    geese
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import MMAudioError, Problem

OWN_FILE = Path(__file__).parent / "labels.txt"
MUSIC = "music"
"""The section of musical styles; all others are of sounds."""
KINDS = ("sounds", MUSIC)
MAX_LABELS = 5000
_GAP = "{}"
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Label:
    """Something that a picture may show.

    Attributes:
        section: that it stands in.
        sentence: describes a picture that shows it, for CLIP.
        said: what a prompt says of it.
    """

    section: str
    sentence: str
    said: str


def read_labels(path: Path, kind: str) -> tuple[Label, ...]:
    """The labels of a file that are of a kind, in their order; if there are none, the pack's own.

    Raises:
        MMAudioError: the file cannot be read, a line of it is wrong, or it holds too many.
    """
    labels = _read(path, kind) or _read(OWN_FILE, kind)
    if not 0 < len(labels) <= MAX_LABELS:
        raise _error(f"{path}: got {len(labels)} labels for {kind}, expected 1 to {MAX_LABELS}")
    return labels


def labels_fingerprint(path: Path) -> str:
    """A text that changes with the content of the file or of the pack's own."""
    return ":".join(_fingerprint(each) for each in (path, OWN_FILE))


def _fingerprint(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:  # told when it is read
        return type(error).__name__


def _read(path: Path, kind: str) -> tuple[Label, ...]:
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise _error(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise _error(f"{path}: got bytes that are no UTF-8 text ({error.reason})") from None
    if len(data) > _MAX_BYTES:
        raise _error(f"{path}: got {len(data)} bytes, expected at most {_MAX_BYTES}")
    return tuple(label for label in _parse(text, path) if _kind(label) == kind)


def _kind(label: Label) -> str:
    return MUSIC if label.section == MUSIC else KINDS[0]


def _parse(text: str, path: Path) -> Iterator[Label]:
    section, sentence = "", ""
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        place = f"{path}, line {number}"
        if line.startswith("["):
            name, closed, sentence = line[1:].partition("]")
            section, sentence = name.strip().lower(), sentence.strip() or _GAP
            if not closed or not section or sentence.count(_GAP) != 1:
                example = f"[animals] a photo of {_GAP}"
                raise _error(f'{place}: got "{line}", expected a section such as "{example}"')
            continue
        if not section:
            raise _error(f'{place}: got "{line}" before the first section, such as "[animals]"')
        seen, colon, said = (part.strip() for part in line.partition(":"))
        if not seen or (colon and not said):
            raise _error(f'{place}: got "{line}", expected "seen: said", such as "a cow: mooing"')
        yield Label(section=section, sentence=sentence.replace(_GAP, seen), said=said or seen)


def _error(message: str) -> MMAudioError:
    return MMAudioError(message, Problem.LABELS)
