"""``mmaudio sound``."""

from __future__ import annotations

import argparse

from ..batch.batches import plan_batches
from ..batch.expand import expand
from ..batch.run import Run
from ..batch.store import open_store
from ..errors import MMAudioError
from .arguments import item_options
from .cluster import run_on_ray
from .exit_codes import DONE, SOME_FAILED, StartError, UsageError
from .models import load_networks, run_facts
from .report import Report


def sound(arguments: argparse.Namespace) -> int:
    """Make sound for everything named; returns the exit code.

    Raises:
        UsageError: what is named cannot be used.
        StartError: weights, the device or a package are missing.
        MediaError: the place of the results cannot be written.
    """
    defaults = item_options(arguments)
    try:
        store = open_store(arguments.out)
        items = expand(arguments.sources, defaults, store.local)
    except MMAudioError as error:
        if isinstance(error.__cause__, ImportError):
            raise StartError(str(error)) from None
        raise UsageError(str(error)) from None
    networks = None if arguments.ray else load_networks(arguments)
    report = Report(len(items), arguments.out, events=arguments.json)
    try:
        if networks is None:
            run_on_ray(arguments, items, report)
        else:
            facts = run_facts(networks, arguments.model)
            run = Run(networks, store, facts, report, retry=arguments.retry)
            run.run(plan_batches(items, arguments.batch))
    except BaseException as error:
        report.end(interrupted=isinstance(error, KeyboardInterrupt))
        raise
    report.end()
    return SOME_FAILED if report.failed_count else DONE
