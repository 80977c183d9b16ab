"""The driver: assignments go into Ray Data's pipeline, outcomes come out."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..item import Item
from ..sidecar import Sidecar
from ..stages import Failure
from .connect import Cluster
from .work import (
    Assignment,
    GenerateRows,
    Progress,
    PutAside,
    Stages,
    decode_rows,
    from_row,
    to_row,
    write_rows,
)

_PASSES = 3
_ROW_ITEMS = 64
"""Most assignments of a row that enters the pipeline: fewer rows cost Ray less."""
_BLOCK_BYTES = 1 << 20
"""Of what a stage hands on at once: less than one sound, so that nothing waits for others."""
_DECODE_BYTES = 2 << 30
"""Main memory of a decoder, torch included."""
_CPUS = 0.5
"""Of a decoder and of a writer: where one CPU is free, both find room."""
_MOST_ACTORS = 4096


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an item."""

    item: Item
    result: Sidecar | Failure


def run_on_cluster(
    cluster: Cluster,
    assignments: Sequence[Assignment],
    stages: Stages,
    *,
    gpus_per_actor: float = 1.0,
    actors: int | None = None,
) -> Generator[Outcome, None, None]:
    """Do all assignments; what becomes of each item is yielded as soon as it is known.

    Args:
        stages: sent to the workers.
        gpus_per_actor: part of a GPU that the networks need; without GPUs in the cluster they run
            on CPUs.
        actors: most actors that hold the networks; None for as many as the cluster has room for,
            which one that grows by itself is asked for, and without GPUs for one per node.
    """
    waiting = {assignment.number: assignment for assignment in assignments}
    suspects: list[Assignment] = []
    for _ in range(_PASSES):  # what a worker that died has lost is done again
        for progress in _stream(cluster, list(waiting.values()), stages, gpus_per_actor, actors):
            assignment = waiting.pop(progress.assignment.number, None)
            if assignment is None:  # done twice, with the same result
                continue
            for place, ended in progress.ended.items():
                item = assignment.batch.items[place]
                if isinstance(ended, PutAside):
                    suspects.append(replace(assignment, places=(place,), alone=True))
                else:
                    yield Outcome(item=item, result=ended)
        if not waiting:
            break
    yield from _lost(waiting.values())
    for assignment in suspects:
        ended = None
        for progress in _stream(cluster, [assignment], stages, gpus_per_actor, 1):
            ended = progress.ended.get(assignment.places[0])
        if ended is None or isinstance(ended, PutAside):
            yield from _lost([assignment])
        else:
            yield Outcome(item=assignment.batch.items[assignment.places[0]], result=ended)


def _lost(assignments: Iterable[Assignment]) -> Iterator[Outcome]:
    failure = Failure(stage="crash", reason="the cluster returned nothing for it: try again")
    for assignment in assignments:
        for place in assignment.places:
            yield Outcome(item=assignment.batch.items[place], result=failure)


def _stream(
    cluster: Cluster,
    assignments: Sequence[Assignment],
    stages: Stages,
    gpus_per_actor: float,
    actors: int | None,
) -> Iterator[Progress]:
    if not assignments:
        return
    data: Any = cluster.ray.data
    context: Any = data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)  # that there are none
    context.target_max_block_size = _BLOCK_BYTES
    if cluster.gpus:
        resources = {"num_gpus": gpus_per_actor}
    else:  # leave some for the other stages
        resources = {"num_cpus": max(1.0, cluster.cpus // cluster.nodes // 2)}
    most = actors or (_MOST_ACTORS if cluster.gpus else cluster.nodes)
    size = max(1, min(_ROW_ITEMS, int(len(assignments) / (4 * max(1.0, cluster.cpus)))))
    rows = [to_row(assignments[i : i + size]) for i in range(0, len(assignments), size)]
    options = {"batch_size": None, "batch_format": "numpy", "zero_copy_batch": True}
    ended = (
        data.from_items(rows, override_num_blocks=len(rows))
        .map_batches(
            decode_rows,
            fn_args=(stages,),
            num_cpus=_CPUS,
            memory=_DECODE_BYTES,  # also keeps Ray from decoding in the actors of the next stage
            **options,
        )
        .map_batches(
            GenerateRows,
            fn_constructor_args=(stages,),
            compute=data.ActorPoolStrategy(min_size=1, max_size=most),
            **resources,
            **options,
        )
        .map_batches(write_rows, fn_args=(stages,), num_cpus=_CPUS, **options)
    )
    ended.set_name("mmaudio")  # in Ray's dashboard
    for row in ended.iter_rows():
        yield from_row(row)
