"""All items of a run in this process: read, generated and written at the same time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from ..progress import Progress
from ..providers import ModelProvider
from .attempts import CRASHES, Attempts
from .batches import Batch
from .decode import decode_item
from .failures import Failures
from .generate import generate
from .item import Item
from .locks import ItemLocks
from .sidecar import RunFacts, Sidecar, is_done
from .stages import DecodedItem, Failure, GeneratedSound, caught
from .store import Store
from .write import write_item

_POLL_SECONDS = 0.2
CRASH = Failure(
    stage="crash",
    reason="the process ended each time while this item was in hand, even alone; --retry tries it "
    "again",
)
"""Of an item that is not begun again."""


class Cancelled(BaseException):
    """Raised in the threads of a run that was interrupted; no failure of an item."""


class Listener(Protocol):
    """Who is told what becomes of the items; called from the threads of a run."""

    def begin(self, items: Sequence[Item]) -> Progress:
        """The sound of items is about to be made; returns who is told how far it is."""
        ...

    def done(self, item: Item, sidecar: Sidecar) -> None:
        """An item has a new result."""
        ...

    def skipped(self, item: Item) -> None:
        """An item has had its result before."""
        ...

    def failed(self, item: Item, failure: Failure) -> None:
        """An item has none."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Work:
    """The places of a batch that are to be done, and their frames as they are read."""

    batch: Batch
    places: tuple[int, ...]
    frames: dict[int, Future[DecodedItem | Failure]] = field(
        default_factory=dict[int, "Future[DecodedItem | Failure]"]
    )


class Run:
    """A run over the items of one manifest, by one process of perhaps several.

    Args:
        networks: make the sound.
        store: where results go.
        facts: of the networks.
        listener: is told what becomes of the items.
        retry: try again what crashed before.
    """

    def __init__(
        self,
        networks: ModelProvider,
        store: Store,
        facts: RunFacts,
        listener: Listener,
        *,
        retry: bool = False,
    ) -> None:
        self._networks = networks
        self._store = store
        self._facts = facts
        self._listener = listener
        self._retry = retry
        self._attempts = Attempts(store)
        self._failures = Failures(store)
        self._locks = ItemLocks(store.local)
        self._reader = ThreadPoolExecutor(1, "mmaudio-decode")
        self._writer = ThreadPoolExecutor(1, "mmaudio-write")
        self._in_hand: dict[str, Item] = {}
        self._settled: set[str] = set()
        self._failed: set[str] = set()
        self._cancelled = False

    def run(self, batches: Iterable[Batch]) -> None:
        """Do what has no result yet; once.

        The next batch is read, and the last one written, while one is generated. An exception of
        an item is that item's failure. KeyboardInterrupt leaves no half file and no record of what
        was begun, and passes through.

        Raises:
            MediaError: the place of the results cannot be read or written.
        """
        try:
            elsewhere: list[Batch] = []
            suspects: list[Batch] = []
            self._pipeline(self._claim(batches, elsewhere, suspects), ahead=1)
            self._pipeline(self._claim(suspects, elsewhere, None), ahead=0)
            while elsewhere:  # in the hands of another process, which may yet fail
                time.sleep(_POLL_SECONDS)
                waiting, elsewhere = elsewhere, []
                self._pipeline(self._claim(waiting, elsewhere, None), ahead=0)
            if self._locks.claim_all():
                self._failures.drop(lambda out: out in self._settled - self._failed)
        except BaseException:
            self._cancelled = True
            raise
        finally:
            try:
                self._reader.shutdown(cancel_futures=True)
                self._writer.shutdown(cancel_futures=True)
            finally:  # whoever presses Ctrl+C again waits no longer
                for item in list(self._in_hand.values()):  # none, unless it was interrupted
                    self._attempts.end(item)
                self._locks.close()

    def _claim(
        self, batches: Iterable[Batch], elsewhere: list[Batch], suspects: list[Batch] | None
    ) -> Iterator[_Work]:
        """What of the batches is for this process to do now.

        Args:
            batches: to look at.
            elsewhere: gets the batches of which another process has a part in hand.
            suspects: gets the batches with an item that may have ended a process before; None if
                every item is to be done alone.
        """
        for batch in batches:
            places: list[int] = []
            for place, item in enumerate(batch.items):
                if item.out in self._settled or item.out in self._in_hand:
                    continue
                if not self._locks.claim(item):
                    _append(elsewhere, batch)
                elif isinstance(done := self._is_done(item), Failure):
                    self._fail(item, done)
                elif done:
                    self._settle(item)
                    self._listener.skipped(item)
                elif suspects is not None and self._crashes(item) >= CRASHES:
                    self._locks.release([item])
                    _append(suspects, batch)
                elif self._crashes(item) > CRASHES:
                    self._fail(item, CRASH)
                elif suspects is None:
                    yield self._begin(batch, (place,))
                else:
                    places.append(place)
            if places:
                yield self._begin(batch, tuple(places))

    def _is_done(self, item: Item) -> bool | Failure:
        return caught("write", lambda: is_done(self._store, item, self._facts))

    def _crashes(self, item: Item) -> int:
        if self._retry and item.out not in self._settled:
            self._attempts.end(item)
        return self._attempts.count(item)

    def _begin(self, batch: Batch, places: tuple[int, ...]) -> _Work:
        work = _Work(batch=batch, places=places)
        for place in places:
            item = batch.items[place]
            self._in_hand[item.out] = item
            self._attempts.begin(item)
            work.frames[place] = self._reader.submit(self._decode, item)
        return work

    def _pipeline(self, works: Iterator[_Work], *, ahead: int) -> None:
        """Do all of them, reading and writing ``ahead`` of them at the same time as one is made."""
        reading: deque[_Work] = deque()
        writing: deque[Future[None]] = deque()
        while True:
            while len(reading) <= ahead and (work := next(works, None)) is not None:
                reading.append(work)
            if not reading:
                break
            work = reading.popleft()
            sounds = self._generate(work)
            writing.append(self._writer.submit(self._write, work, sounds))
            while len(writing) > ahead:
                writing.popleft().result()
        for written in writing:
            written.result()

    def _decode(self, item: Item) -> DecodedItem | Failure:
        return caught("decode", lambda: decode_item(item, self._tick))

    def _generate(self, work: _Work) -> dict[int, GeneratedSound | Failure]:
        sounds: dict[int, GeneratedSound | Failure] = {}
        frames: dict[int, DecodedItem] = {}
        for place in work.places:
            found = work.frames.pop(place).result()
            if isinstance(found, Failure):
                sounds[place] = found
            else:
                frames[place] = found
        if frames:
            progress = self._listener.begin([work.batch.items[place] for place in frames])
            sounds |= generate(self._networks, work.batch, frames, progress)
        return sounds

    def _write(self, work: _Work, sounds: Mapping[int, GeneratedSound | Failure]) -> None:
        for place, sound in sounds.items():
            item = work.batch.items[place]
            result = sound if isinstance(sound, Failure) else self._write_item(item, sound)
            if isinstance(result, Failure):
                self._fail(item, result)
            else:
                self._settle(item)
                self._listener.done(item, result)

    def _write_item(self, item: Item, sound: GeneratedSound) -> Sidecar | Failure:
        return caught(
            "write", lambda: write_item(item, sound, self._store, self._facts, self._tick)
        )

    def _fail(self, item: Item, failure: Failure) -> None:
        self._failed.add(item.out)
        self._failures.add(item, failure)
        self._settle(item, keep_attempts=failure is CRASH)
        self._listener.failed(item, failure)

    def _settle(self, item: Item, *, keep_attempts: bool = False) -> None:
        """The item's end is known."""
        if self._in_hand.pop(item.out, None) is not None or not keep_attempts:
            self._attempts.end(item)
        self._settled.add(item.out)
        self._locks.release([item])

    def _tick(self, stage: str, done: int, total: int, /) -> None:
        if self._cancelled:
            raise Cancelled


def _append(batches: list[Batch], batch: Batch) -> None:
    if not batches or batches[-1] is not batch:
        batches.append(batch)
