"""``mmaudio sound --ray``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial

import torch

from ..batch.batches import plan_batches
from ..batch.cluster import ClusterRun, Generate, connect
from ..batch.generate import generate
from ..batch.item import Item, is_url
from ..batch.run import Listener
from ..batch.sidecar import RunFacts
from ..batch.store import open_store
from ..errors import MMAudioError
from .exit_codes import StartError
from .models import find_weights, load_networks, run_facts


def run_on_ray(arguments: argparse.Namespace, items: Iterable[Item], listener: Listener) -> None:
    """Make the sound of all items on a Ray cluster.

    Raises:
        StartError: there is no Ray, no cluster, or its nodes find no weights.
        MediaError: the place of the results cannot be written.
    """
    arguments = _for_workers(arguments)
    try:
        # Ray tells on stdout of workers that died
        with redirect_stdout(sys.stderr), connect(arguments.ray) as cluster:
            facts = cluster.call(
                partial(_facts, arguments), gpus=arguments.ray_gpus if cluster.gpus else 0.0
            )
            run = ClusterRun(
                cluster,
                partial(_make_generate, arguments),
                open_store(arguments.out),
                facts,
                listener,
                retry=arguments.retry,
                gpus_per_actor=arguments.ray_gpus,
                actors=arguments.ray_actors,
            )
            found = (
                item if item.video is None else replace(item, video=_absolute(item.video))
                for item in items
            )
            run.run(plan_batches(found, arguments.batch))
    except MMAudioError as error:
        raise StartError(str(error)) from error


def _for_workers(arguments: argparse.Namespace) -> argparse.Namespace:
    """The arguments, without what a worker would read otherwise than the driver."""
    folders = [str(folder.resolve()) for folder in find_weights(arguments.weights)]
    threads = arguments.threads or torch.get_num_threads()  # it can decide the last bits
    paths = {"weights": folders, "out": _absolute(arguments.out)}
    return argparse.Namespace(**{**vars(arguments), **paths, "threads": threads})


def _absolute(path: str) -> str:
    return path if is_url(path) else os.path.abspath(path)


def _facts(arguments: argparse.Namespace) -> RunFacts:
    return run_facts(load_networks(arguments), arguments.model)


def _make_generate(arguments: argparse.Namespace) -> Generate:
    return partial(generate, load_networks(arguments))
