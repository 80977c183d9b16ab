"""``mmaudio sound --ray``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import torch

from ..batch.batches import plan_batches
from ..batch.cluster import ClusterRun, Generate, connect
from ..batch.generate import generate
from ..batch.item import Item, is_url
from ..batch.run import Listener
from ..batch.sidecar import RunFacts
from ..batch.store import Store
from ..errors import MMAudioError
from .exit_codes import StartError
from .models import find_weights, load_networks, run_facts


def run_on_ray(
    arguments: argparse.Namespace, items: Iterable[Item], store: Store, listener: Listener
) -> None:
    """Make the sound of all items on a Ray cluster.

    Raises:
        StartError: there is no Ray, no cluster, or its nodes find no weights.
        MediaError: the place of the results cannot be written.
    """
    arguments = _for_workers(arguments)
    try:
        with connect(arguments.ray) as cluster:
            facts = cluster.call(
                partial(_facts, arguments), gpus=arguments.ray_gpus if cluster.gpus else 0.0
            )
            run = ClusterRun(
                cluster,
                partial(_make_generate, arguments),
                store,
                facts,
                listener,
                retry=arguments.retry,
                gpus_per_actor=arguments.ray_gpus,
                actors=arguments.ray_actors,
            )
            run.run(plan_batches((_absolute(item) for item in items), arguments.batch))
    except MMAudioError as error:
        raise StartError(str(error)) from error


def _for_workers(arguments: argparse.Namespace) -> argparse.Namespace:
    """The arguments, without what a worker would read otherwise than the driver."""
    folder = find_weights(arguments.weights).resolve()
    threads = arguments.threads or torch.get_num_threads()  # it can decide the last bits
    return argparse.Namespace(**{**vars(arguments), "weights": str(folder), "threads": threads})


def _absolute(item: Item) -> Item:
    if item.video is None or is_url(item.video):
        return item
    return replace(item, video=os.path.abspath(item.video))


def _facts(arguments: argparse.Namespace) -> RunFacts:
    return run_facts(load_networks(arguments), arguments.model)


def _make_generate(arguments: argparse.Namespace) -> Generate:
    return partial(generate, load_networks(arguments))
