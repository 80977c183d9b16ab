"""``mmaudio sound``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..batch.batches import plan_batches
from ..batch.expand import expand
from ..batch.item import Item
from ..batch.run import Run
from ..batch.store import Store, open_store
from ..errors import MMAudioError
from .arguments import item_options
from .cluster import run_on_ray
from .exit_codes import DONE, SOME_FAILED, UsageError
from .models import load_networks, run_facts
from .report import Report


def sound(arguments: argparse.Namespace) -> int:
    """Make sound for everything named; returns the exit code.

    Raises:
        UsageError: what is named cannot be used.
        StartError: weights or the device are missing.
        MediaError: the place of the results cannot be written.
    """
    defaults = item_options(arguments)
    try:
        store = open_store(arguments.out)
        items = expand(arguments.sources, defaults, store.local)
    except MMAudioError as error:
        raise UsageError(str(error)) from None
    report = Report(len(items), arguments.out, events=arguments.json)
    try:
        if arguments.ray is None:
            _run_here(arguments, items, store, report)
        else:
            run_on_ray(arguments, items, store, report)
    except BaseException as error:
        report.end(interrupted=isinstance(error, KeyboardInterrupt))
        raise
    report.end()
    return SOME_FAILED if report.failed_count else DONE


def _run_here(
    arguments: argparse.Namespace, items: Sequence[Item], store: Store, report: Report
) -> None:
    networks = load_networks(arguments)
    facts = run_facts(networks, arguments.model)
    run = Run(networks, store, facts, report, retry=arguments.retry)
    run.run(plan_batches(items, arguments.batch))
