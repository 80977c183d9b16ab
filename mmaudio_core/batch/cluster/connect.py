"""Connecting to Ray, an optional package."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from ...errors import MMAudioError

T = TypeVar("T")
_CONNECT_SECONDS = 10
_STOP_SECONDS = 2


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A connection.

    Attributes:
        ray: the package.
        nodes: machines, or what Ray takes for them.
        cpus, gpus: of all nodes that are there now.
    """

    ray: Any
    nodes: int
    cpus: float
    gpus: float

    def call(self, work: Callable[[], T], *, gpus: float) -> T:
        """The result of ``work`` in a worker that has ``gpus`` of a GPU, or its exception."""
        try:
            call = self.ray.remote(num_cpus=1, num_gpus=gpus)(_call)
            return self.ray.get(call.remote(work))
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None

    def stop(self) -> None:
        """Disconnect now: the workers end, whatever they are doing."""
        self.ray.shutdown()
        if self.nodes > 1:  # those elsewhere are told to
            time.sleep(_STOP_SECONDS)


def _call(work: Callable[[], T]) -> T:
    return work()


@contextmanager
def connect(address: str) -> Generator[Cluster, None, None]:
    """Connect to a cluster, and disconnect at the end.

    Args:
        address: ``local`` starts a cluster on this machine that ends with the block; ``auto`` is
            the one that is found (``$RAY_ADDRESS``, or one that runs on this machine); else
            ``host:port`` of its head, whose network this machine is in.

    Raises:
        MMAudioError: Ray is not installed, or there is no such cluster.
    """
    try:
        ray: Any = import_module("ray")
        import_module("ray.data")
    except ImportError as error:
        raise MMAudioError(
            f"--ray needs a package that cannot be imported ({error}): pip install 'ray[data]'"
        ) from None
    if address not in ("local", "auto"):
        _check_address(address)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (ConnectionError, ValueError) as error:
        raise _unreachable(address, str(error)) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own in the place
    try:
        resources: dict[str, float] = ray.cluster_resources()
        yield Cluster(
            ray=ray,
            nodes=sum(1 for node in ray.nodes() if node["Alive"]),
            cpus=resources.get("CPU", 0.0),
            gpus=resources.get("GPU", 0.0),
        )
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise MMAudioError if nothing answers there: Ray would wait for minutes, and then exit."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise MMAudioError(
            f"got the address {address!r} of a Ray cluster, expected local, auto, or the host:port "
            "of its head, such as 10.0.0.1:6379"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from error


def _unreachable(address: str, reason: str) -> MMAudioError:
    return MMAudioError(
        f"got no connection to a Ray cluster at {address!r} ({reason}): start one (ray start "
        "--head), or use --ray local"
    )
