"""A Ray cluster of several nodes on this machine, and processes of it that are killed at random."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil

ROOT = Path(__file__).parents[2]
# As Ray names a process while it works.
ACTOR = "MapWorker(MapBatches(GenerateRows))"
DECODER = "MapBatches(decode_rows)"
WRITER = "MapBatches(write_rows)"
_WAIT_SECONDS = 120
_OBJECT_STORE_BYTES = 1 << 30  # else these nodes have 150 MB, where Ray's own have gigabytes


@contextmanager
def nodes(count: int) -> Iterator[str]:
    """The address of a cluster of so many nodes of two CPUs."""
    from ray.cluster_utils import Cluster

    node: dict[str, Any] = {"num_cpus": 2, "object_store_memory": _OBJECT_STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    for _ in range(count - 1):
        cluster.add_node(**node)
    assert cluster.address is not None
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def kill_worker(kind: str, running: Callable[[], bool]) -> bool:
    """SIGKILL one of this process's cluster in the middle of its work; False if none came."""
    end = time.monotonic() + _WAIT_SECONDS
    while running() and time.monotonic() < end:
        for process in psutil.Process().children(recursive=True):
            try:
                if process.name().startswith("ray::") and kind in " ".join(process.cmdline()):
                    process.kill()
                    return True
            except psutil.Error:  # it has just ended
                pass
        time.sleep(0.01)
    return False


def run_with_kills(
    command: Sequence[str], draw: random.Random, *, workers: Sequence[str], drivers: int
) -> list[str]:
    """Run the command to its end while things around it are killed; returns what was killed.

    Args:
        command: prints events.
        draw: decides how many items are done before each kill.
        workers: kinds of workers, of which one each is killed during the last run.
        drivers: how often the command itself is killed before.
    """
    killed: list[str] = []
    done: list[str] = []

    def read(stdout: IO[str], count: int | None = None) -> None:
        """Read events until so many items more are done, or to the end."""
        before = len(done)
        while (count is None or len(done) < before + count) and (line := stdout.readline()):
            event = json.loads(line)  # nothing else may stand there, such as what Ray has to say
            if event["event"] == "done":
                done.append(event["out"])

    for run in range(drivers + 1):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as driver:
            assert driver.stdout is not None
            if run < drivers:
                read(driver.stdout, draw.randint(1, 3))
                if driver.poll() is None:
                    driver.send_signal(signal.SIGKILL)
                    killed.append("driver")
            else:
                for kind in workers:
                    if kill_worker(kind, lambda one=driver: one.poll() is None):
                        killed.append(kind)
                    read(driver.stdout, draw.randint(1, 3))
            read(driver.stdout)
    assert driver.returncode == 0
    assert len(done) == len(set(done)), done  # an item that was told of is not done again
    return killed
