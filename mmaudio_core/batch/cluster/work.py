"""What the workers do with a batch; every function here runs in a worker's process."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from ..attempts import CRASHES, Attempts
from ..batches import Batch
from ..item import Item
from ..run import CRASH
from ..sidecar import Sidecar
from ..stages import DecodedItem, Failure, GeneratedSound, caught
from ..store import Store

log = logging.getLogger(__name__)
"""Of the workers: Ray's dashboard shows their logs."""
T = TypeVar("T")

Decode = Callable[[Item], DecodedItem]
Generate = Callable[[Batch, Mapping[int, DecodedItem]], dict[int, "GeneratedSound | Failure"]]
MakeGenerate = Callable[[], Generate]
Write = Callable[[Item, GeneratedSound], Sidecar]

COLUMN = "work"
"""Of Ray's tables: each row is one pickled object, which no table format has to understand."""
Row = dict[str, bytes]
Table = Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The three stages of an item; all of it is sent to the workers.

    Attributes:
        make_generate: called once by each actor; loads what the second stage needs.
        store: of the results, which also keeps the attempts at each item.
    """

    decode: Decode
    make_generate: MakeGenerate
    write: Write
    store: Store


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Items of a batch that are to be done.

    Attributes:
        number: of the batch in the run.
        places: of the items in the batch, from 0.
        alone: whether they are done alone because a process crashed on them.
    """

    number: int
    batch: Batch
    places: tuple[int, ...]
    alone: bool = False


@dataclass(frozen=True)
class PutAside:
    """An item on which processes crashed, which is to be done alone."""


Ended = Sidecar | Failure | PutAside


@dataclass(frozen=True, kw_only=True)
class Progress:
    """An assignment on its way from stage to stage.

    Attributes:
        current: results of the last stage, by place.
        ended: by place, what needs no further stage.
    """

    assignment: Assignment
    current: Mapping[int, DecodedItem | GeneratedSound] = field(
        default_factory=dict[int, "DecodedItem | GeneratedSound"]
    )
    ended: Mapping[int, Ended] = field(default_factory=dict[int, Ended])


def to_row(value: object) -> Row:
    """A row that holds an object."""
    return {COLUMN: pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)}


def from_row(row: Row) -> Any:
    """The object that a row holds."""
    return pickle.loads(row[COLUMN])


def decode_rows(table: Table, stages: Stages) -> Iterator[Table]:
    """First stage: decode all assignments of each row, and yield a table of one row for each."""
    for assignments in _objects(table):
        for assignment in assignments:
            begun = Progress(assignment=assignment)
            yield _table(_guarded("decode", partial(_decode, stages=stages), begun))


class GenerateRows:
    """Second stage: an actor that holds the networks."""

    def __init__(self, stages: Stages) -> None:
        self._work = partial(_generate, stages=stages, generate=stages.make_generate())

    def __call__(self, table: Table) -> Iterator[Table]:
        for progress in _objects(table):
            yield _table(_guarded("generate", self._work, progress))


def write_rows(table: Table, stages: Stages) -> Iterator[Table]:
    """Third stage: write results; what is returned is small."""
    for progress in _objects(table):
        yield _table(_guarded("write", partial(_write, stages=stages), progress))


def _objects(table: Table) -> Iterator[Any]:
    for content in table[COLUMN]:
        yield pickle.loads(content)


def _table(value: object) -> Table:
    return {name: [content] for name, content in to_row(value).items()}


def _guarded(stage: str, work: Callable[[Progress], Progress], progress: Progress) -> Progress:
    """The result of ``work``; if not even attempts can be recorded, each item has failed."""
    result = caught(stage, lambda: work(progress))
    if isinstance(result, Failure):
        failed = dict.fromkeys(progress.assignment.places, result)
        return Progress(assignment=progress.assignment, ended={**failed, **progress.ended})
    return result


def _decode(progress: Progress, stages: Stages) -> Progress:
    attempts = Attempts(stages.store)
    assignment = progress.assignment
    current: dict[int, DecodedItem | GeneratedSound] = {}
    ended: dict[int, Ended] = {}
    for place in assignment.places:
        item = assignment.batch.items[place]
        found = _attempt(
            attempts, assignment, item, lambda i=item: caught("decode", lambda: stages.decode(i))
        )
        if isinstance(found, DecodedItem):
            current[place] = found
        else:
            ended[place] = found
    return Progress(assignment=assignment, current=current, ended=ended)


def _generate(progress: Progress, stages: Stages, generate: Generate) -> Progress:
    attempts = Attempts(stages.store)
    assignment = progress.assignment
    items = assignment.batch.items
    ended = dict(progress.ended)
    decoded: dict[int, DecodedItem] = {}
    for place, found in progress.current.items():
        assert isinstance(found, DecodedItem)
        stopped = _stopped(attempts, assignment, items[place])
        if stopped is None:
            decoded[place] = found
        else:
            ended[place] = stopped
    current: dict[int, DecodedItem | GeneratedSound] = {}
    counts = {place: attempts.begin(items[place]) for place in decoded}
    sounds = generate(assignment.batch, decoded) if decoded else {}
    for place, sound in sounds.items():
        attempts.settle(items[place], counts[place])
        if isinstance(sound, GeneratedSound):
            current[place] = sound
        else:
            ended[place] = sound
    return replace(progress, current=current, ended=ended)


def _write(progress: Progress, stages: Stages) -> Progress:
    attempts = Attempts(stages.store)
    assignment = progress.assignment
    ended = dict(progress.ended)
    for place, sound in progress.current.items():
        assert isinstance(sound, GeneratedSound)
        item = assignment.batch.items[place]
        ended[place] = _attempt(
            attempts,
            assignment,
            item,
            lambda i=item, s=sound: caught("write", lambda: stages.write(i, s)),
        )
    for place, found in ended.items():
        item = assignment.batch.items[place]
        if not (isinstance(found, PutAside) or found == CRASH):
            attempts.end(item)
        if isinstance(found, Failure):
            log.warning("%s failed (%s): %s", item.out, found.stage, found.reason)
    return Progress(assignment=assignment, ended=ended)


def _attempt(
    attempts: Attempts, assignment: Assignment, item: Item, work: Callable[[], T]
) -> T | Failure | PutAside:
    """Do ``work`` unless too many processes crashed on the item; a crash here will be counted."""
    stopped = _stopped(attempts, assignment, item)
    if stopped is not None:
        return stopped
    count = attempts.begin(item)
    result = work()
    attempts.settle(item, count)
    return result


def _stopped(attempts: Attempts, assignment: Assignment, item: Item) -> Failure | PutAside | None:
    count = attempts.count(item)
    if count > CRASHES:
        return CRASH
    if count == CRASHES and not assignment.alone:
        return PutAside()
    return None
