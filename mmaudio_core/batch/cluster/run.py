"""All items of a run on a cluster; the counterpart of ``batch.run``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial

from ...errors import MMAudioError
from ..attempts import CRASHES, Attempts
from ..batches import Batch
from ..decode import decode_item
from ..failures import Failures
from ..item import Item
from ..locks import ItemLocks
from ..run import CRASH, Listener
from ..sidecar import RunFacts, is_done
from ..stages import Failure, caught
from ..store import Store
from ..write import write_item
from .connect import Cluster
from .pipeline import run_on_cluster
from .work import Assignment, MakeGenerate, Stages


class ClusterRun:
    """A run over the items of one manifest, by one driver.

    Args:
        cluster: where the stages run; its nodes see the videos, the weights and the store under
            the same names as the driver.
        make_generate: called by each actor; makes the second stage, and loads what it needs.
        store: where results go.
        facts: of the networks as the actors run them.
        listener: is told what becomes of the items.
        retry: try again what crashed before.
        gpus_per_actor, actors: see ``run_on_cluster``.
    """

    def __init__(
        self,
        cluster: Cluster,
        make_generate: MakeGenerate,
        store: Store,
        facts: RunFacts,
        listener: Listener,
        *,
        retry: bool = False,
        gpus_per_actor: float = 1.0,
        actors: int | None = None,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._facts = facts
        self._listener = listener
        self._retry = retry
        self._gpus_per_actor = gpus_per_actor
        self._actors = actors
        self._attempts = Attempts(store)
        self._failures = Failures(store)
        self._done: set[str] = set()
        self._stages = Stages(
            decode=decode_item,
            make_generate=make_generate,
            write=partial(write_item, store=store, run=facts),
            store=store,
        )

    def run(self, batches: Iterable[Batch]) -> None:
        """Do what has no result yet; once. An exception of an item is that item's failure.

        Raises:
            MMAudioError: another process works on the same folder.
            MediaError: the place of the results cannot be read or written.
        """
        with ItemLocks(self._store.local) as locks:
            if not locks.claim_all():
                raise MMAudioError(
                    f"another process makes results in {self._store.local}: wait for its end, or "
                    "end it; a cluster needs the folder for itself"
                )
            assignments = list(self._assign(batches))
            try:
                self._listen(assignments)
            except KeyboardInterrupt:
                self._cluster.stop()
                self._forget(assignments)
                raise
            self._failures.drop(lambda out: out in self._done)

    def _listen(self, assignments: Sequence[Assignment]) -> None:
        outcomes = run_on_cluster(
            self._cluster,
            assignments,
            self._stages,
            gpus_per_actor=self._gpus_per_actor,
            actors=self._actors,
        )
        with closing(outcomes):  # else Ray Data would go on after an interruption
            for outcome in outcomes:
                if isinstance(outcome.result, Failure):
                    self._fail(outcome.item, outcome.result)
                else:
                    self._done.add(outcome.item.out)
                    self._listener.done(outcome.item, outcome.result)

    def _forget(self, assignments: Sequence[Assignment]) -> None:
        """Items that were in hand did not crash; on a slow store they count as if they had."""
        if self._store.local is None:
            return
        for assignment in assignments:
            for place in assignment.places:
                self._attempts.end(assignment.batch.items[place])

    def _assign(self, batches: Iterable[Batch]) -> Iterator[Assignment]:
        for number, batch in enumerate(batches):
            places: list[int] = []
            for place, item in enumerate(batch.items):
                done = caught("write", lambda i=item: is_done(self._store, i, self._facts))
                if isinstance(done, Failure):  # the place of this one result
                    self._fail(item, done)
                    continue
                if done:
                    self._done.add(item.out)
                    self._listener.skipped(item)
                    continue
                if self._retry:
                    self._attempts.end(item)
                if self._attempts.count(item) > CRASHES:
                    self._fail(item, CRASH)
                else:
                    places.append(place)
            if places:
                yield Assignment(number=number, batch=batch, places=tuple(places))

    def _fail(self, item: Item, failure: Failure) -> None:
        self._failures.add(item, failure)
        self._listener.failed(item, failure)
