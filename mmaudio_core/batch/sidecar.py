"""The file beside a result that makes it final, and tells what it was made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..checkpoint import Bundle, fingerprint_part
from .inputs import is_unchanged
from .item import Item
from .stages import InputFacts
from .store import Store

_RESULTS = 1
"""Of what the same input and options become; raise it when that changes."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What all items of a run have in common.

    Attributes:
        model: its name.
        weights: fingerprint of each network's file.
        precision: of each network's arithmetic.
        device: for instance cpu or cuda.
        versions: of the packages that had a hand in the result.
    """

    model: str
    weights: Mapping[str, str]
    precision: Mapping[str, str]
    device: str
    versions: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class ResultFile:
    """A file that was written.

    Attributes:
        name: as in ``Store``.
        size: in bytes.
        seed: of the take.
        scores: of the take, by name; None was not measured.
        unmeasured: why, by name.
    """

    name: str
    size: int
    seed: int
    scores: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    unmeasured: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What is known of a result.

    Attributes:
        digest: of all that the sound depends on but the video; None while a result is replaced.
        video, input: of the item.
        options: those that are not at their defaults.
        files: one per take.
        duration, sample_rate: of the sound, in seconds and Hz.
        run: how the networks ran.
        seconds: that each stage took.
        notes: what the user should know.
    """

    digest: str | None
    files: tuple[ResultFile, ...]
    video: str | None = None
    input: InputFacts | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    duration: float = 0.0
    sample_rate: int = 0
    run: RunFacts | None = None
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    notes: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode(
            errors="backslashreplace"
        )


def sidecar_name(item: Item) -> str:
    """Where an item's sidecar is, in a ``Store``."""
    return f"{item.out}.json"


def item_digest(item: Item, run: RunFacts) -> str:
    """A digest of all that decides an item's result, but the content of its video."""
    facts = {
        "results": _RESULTS,
        "video": item.video is not None,
        "options": item.options.changed(),
        "weights": dict(run.weights),
        "precision": dict(run.precision),
    }
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=20).hexdigest()


def weights_of(bundle: Bundle) -> dict[str, str]:
    """Fingerprint of each network's file."""
    return {kind.value: fingerprint_part(part) for kind, part in bundle.parts.items()}


def read_sidecar(store: Store, item: Item) -> Sidecar | None:
    """An item's sidecar; None if there is none, or something else under its name."""
    content = store.read(sidecar_name(item))
    if content is None:
        return None
    try:
        entry: dict[str, Any] = json.loads(content)
        known = entry.get("input")
        return Sidecar(
            digest=entry["digest"],
            video=entry["video"],
            input=None if known is None else InputFacts(**known),
            files=tuple(ResultFile(**file) for file in entry["files"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def is_done(store: Store, item: Item, run: RunFacts) -> bool:
    """Whether an item's result is there, whole, and what it would be if it were made again.

    Its video is not read unless its time has changed and its size has not.
    """
    known = read_sidecar(store, item)
    if known is None or known.digest != item_digest(item, run) or not known.files:
        return False
    if any(store.size(file.name) != file.size for file in known.files):
        return False
    if item.video is None:
        return True
    return known.input is not None and is_unchanged(item.video, known.input)
