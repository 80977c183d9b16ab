"""Ray: three nodes make what one process makes; what crashes is found, and done once."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest

from mmaudio_core.batch.attempts import CRASHES, Attempts
from mmaudio_core.batch.batches import plan_batches
from mmaudio_core.batch.cluster import run as running
from mmaudio_core.batch.cluster.connect import Cluster, connect
from mmaudio_core.batch.cluster.pipeline import Outcome, run_on_cluster
from mmaudio_core.batch.cluster.run import ClusterRun
from mmaudio_core.batch.cluster.work import Assignment, Stages
from mmaudio_core.batch.item import STATE, Item
from mmaudio_core.batch.locks import ItemLocks
from mmaudio_core.batch.options import ItemOptions
from mmaudio_core.batch.run import CRASH
from mmaudio_core.batch.sidecar import Sidecar
from mmaudio_core.batch.stages import Failure
from mmaudio_core.batch.store import LocalStore
from mmaudio_core.config import exact_seconds
from mmaudio_core.errors import MMAudioError
from tests.batch.clips import RUN
from tests.batch.cluster_stages import Decode, MakeGenerate, Trail, Write
from tests.batch.many import command, killed_on_cluster, prepare, whole_run
from tests.batch.nodes import nodes
from tests.batch.test_run import Heard

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster of three nodes on this machine."""
    with nodes(3) as found:
        yield found


@pytest.fixture(scope="module")
def cluster(address: str) -> Iterator[Cluster]:
    with connect(address) as found:
        assert found.nodes == 3
        yield found


def test_there_is_no_such_cluster() -> None:
    told = "no connection to a Ray cluster at 'localhost:1'"
    with pytest.raises(MMAudioError, match=told), connect("localhost:1"):
        pass


def test_killed_workers_and_drivers_leave_the_bytes_of_one_process(
    address: str, tmp_path: Path
) -> None:
    prepare(tmp_path, 14)
    whole_run(tmp_path, 14)
    killed_on_cluster(tmp_path, 14, address, drivers=1)


def test_a_run_that_is_ended_in_time_has_not_crashed(address: str, tmp_path: Path) -> None:
    prepare(tmp_path, 6)
    line = command(tmp_path, tmp_path / "out", "--ray", address)
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        driver.send_signal(signal.SIGTERM)
    assert driver.returncode == 143
    assert list((tmp_path / "out" / STATE / "attempts").iterdir()) == []


def test_the_actors_take_what_they_are_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, object] = {}

    def record(*_: object, **options: object) -> Generator[Outcome, None, None]:
        told.update(options)
        yield from ()

    monkeypatch.setattr(running, "run_on_cluster", record)
    cluster = Cluster(ray=None, nodes=1, cpus=2, gpus=1)
    ClusterRun(
        cluster,
        MakeGenerate(Trail(tmp_path), {}),
        LocalStore(tmp_path),
        RUN,
        Heard(),
        gpus_per_actor=0.25,
        actors=3,
    ).run([])
    assert told == {"gpus_per_actor": 0.25, "actors": 3}


def make_items(count: int) -> list[Item]:
    options = ItemOptions(duration=exact_seconds(1))
    return [
        Item(video=f"{number}.mp4", out=f"v{number}", options=options) for number in range(count)
    ]


def run(
    cluster: Cluster, items: Sequence[Item], folder: Path, *, size: int, **crashing: int
) -> tuple[dict[str, Sidecar | Failure], Trail, Attempts]:
    trail = Trail(folder / "trail")
    trail.folder.mkdir()
    store = LocalStore(folder / "results")
    stages = Stages(
        decode=Decode(bad=frozenset({"v1"})),
        make_generate=MakeGenerate(trail, crashing),
        write=Write(trail),
        store=store,
    )
    assignments = [
        Assignment(number=number, batch=batch, places=tuple(range(len(batch.items))))
        for number, batch in enumerate(plan_batches(items, size))
    ]
    outcomes = list(run_on_cluster(cluster, assignments, stages))
    assert len(outcomes) == len(items)
    return {o.item.out: o.result for o in outcomes}, trail, Attempts(store)


def worker_logs(cluster: Cluster) -> list[str]:
    """What Ray's dashboard shows of the workers."""
    logs = Path(cluster.ray._private.worker._global_node.get_logs_dir_path())
    return [path.read_text() for path in logs.glob("worker-*.err")]


def test_an_item_that_ends_its_process_is_tried_alone_and_fails(
    cluster: Cluster, tmp_path: Path
) -> None:
    items = make_items(12)
    found, trail, attempts = run(cluster, items, tmp_path, size=4, v6=99, v9=2)
    bad = found.pop("v1")
    assert isinstance(bad, Failure) and (bad.stage, bad.reason) == ("decode", "no such picture")
    assert found.pop("v6") == CRASH
    assert all(isinstance(result, Sidecar) for result in found.values())
    # in a batch of four until it was suspected, then once alone
    assert trail.lines("generate", items[6]) == ["4"] * CRASHES + ["1"]
    assert trail.lines("generate", items[9]) == ["4"] * 3
    assert {item.out: attempts.count(item) for item in items if attempts.count(item)} == {
        "v6": CRASHES + 1
    }
    assert any("v1 failed (decode): no such picture" in text for text in worker_logs(cluster))
    for item in items:
        expected = 0 if item.out in ("v1", "v6") else 1
        assert len(trail.lines("write", item)) == expected, item


def test_an_actor_that_is_killed_loses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    items = make_items(300)
    found, trail, attempts = run(cluster, items, tmp_path, size=1, v50=1, v51=1, v200=2)
    assert sum(isinstance(result, Sidecar) for result in found.values()) == 299
    assert not any(attempts.count(item) for item in items)
    assert all(trail.lines("write", item) for item in items if item.out != "v1")


def test_a_place_that_takes_no_records_fails_each_item(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / STATE).write_text("no folder")
    found, _, _ = run(cluster, make_items(3), tmp_path, size=1)
    for result in found.values():
        assert isinstance(result, Failure) and result.stage == "decode"
        assert "could not be written" in result.reason


def test_one_driver_a_folder(address: str, tmp_path: Path) -> None:
    prepare(tmp_path, 1)
    with ItemLocks(tmp_path / "out") as locks:
        assert locks.claim_all()
        line = command(tmp_path, tmp_path / "out", "--ray", address)
        told = subprocess.run(line, check=False, cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 3
    assert "another process makes results in" in told.stderr
