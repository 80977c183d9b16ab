"""``mmaudio sound``."""

from __future__ import annotations

import argparse

from ..batch.batches import plan_batches
from ..batch.expand import expand
from ..batch.run import Run
from ..batch.store import open_store
from ..errors import MMAudioError
from .arguments import item_options
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
    networks = load_networks(arguments)
    facts = run_facts(networks, arguments.model)
    report = Report(len(items), arguments.out, events=arguments.json)
    run = Run(networks, store, facts, report, retry=arguments.retry)
    try:
        run.run(plan_batches(items, arguments.batch))
    except BaseException as error:
        report.end(interrupted=isinstance(error, KeyboardInterrupt))
        raise
    report.end()
    return SOME_FAILED if report.failed_count else DONE
