"""Many jobs in one server: its memory, threads, open files and temporary files stay flat.

``MMAUDIO_SOAK_JOBS=100`` runs that many of each kind; ``-s`` prints the figures.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from dev.server import ComfyServer
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from tests.conftest import SYNTHETIC_VARIANTS
from tests.core.made_videos import steady, write_video
from tests.nodes.graphs import (
    Graph,
    executed,
    muxed,
    node,
    paths,
    read_audio,
    run,
    saved,
    sound,
)

pytestmark = pytest.mark.slow
JOBS = int(os.environ.get("MMAUDIO_SOAK_JOBS", "24"))
KINDS = 12  # after which each kind of job has run once
MB = 1024 * 1024
_GROWTH_MB = 1.0  # a job, above which something is kept
_SLACK_MB = 40  # of the allocator, which keeps what a larger job before needed


@dataclass(frozen=True)
class Usage:
    """What a server holds: resident memory in MB, counts, and files under its temp folder."""

    memory: float
    threads: int
    open_files: int
    temporary: int


@pytest.fixture(scope="module")
def server(comfy_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A ComfyUI with a cache of features on disk, in which each kind of job has run."""
    folder = tmp_path_factory.mktemp("soak")
    for variant in SYNTHETIC_VARIANTS:
        write_synthetic_bundle(folder / "models" / "mmaudio" / variant, variant=variant)
    environment = {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "MMAUDIO_FEATURE_CACHE": str(folder / "features"),
    }
    with ComfyServer(comfy_path, folder, env=environment) as running:
        for number in range(3):
            sound_track = bool(number)
            path = running.input / f"clip{number}.mp4"
            write_video(path, steady(50 + 40 * number, 25), sound=sound_track)
        for number in range(KINDS):
            do(running, number)
        yield running


def usage(server: ComfyServer) -> Usage:
    process = psutil.Process(server.pid)
    return Usage(
        memory=round(process.memory_info().rss / MB, 1),
        threads=process.num_threads(),
        open_files=process.num_fds() if os.name != "nt" else process.num_handles(),
        temporary=sum(path.is_file() for path in server.temp.rglob("*")),
    )


def job(number: int) -> Graph:
    """One of ``KINDS`` kinds: text, video or images; short or long; each variant and container."""
    kind = number % KINDS
    load = {"model": SYNTHETIC_VARIANTS[kind % 2]}
    sample = {"seed": number, "num_samples": 1 + kind % 3}
    duration = (0.64, 1.5, 3.0, 8.0)[kind % 4]
    if kind % 3 == 0:
        return saved(sound(load=load, sample=sample, extract={"duration": duration}))
    container = ("auto", "mp4", "mkv", "webm")[kind // 3]
    given = {"container": container, "take": -1}
    if kind % 3 == 1:
        name = f"clip{number % 3}.mp4"
        mode = ("replace", "mix", "duck", "keep_as_track")[kind // 3]
        made = sound(video=name, load=load, sample=sample, extract={"duration": 0.0})
        return muxed(made, video=["video", 0], original_audio=mode, **given)
    made = sound(
        load=load,
        sample=sample,
        extract={"duration": duration, "prompt": f"rain {number}"},
        images=node("EmptyImage", width=64 + 16 * kind, height=64, batch_size=10, color=number),
    )
    return muxed(made, images=["images", 0], frame_rate=5.0, **given)


def do(server: ComfyServer, number: int) -> None:
    result = server.client.run(job(number))
    assert result.status == "success", f"{number}: {result.message}"
    assert all(path.stat().st_size for path in paths(server, result))


def report(title: str, readings: dict[int, Usage]) -> None:
    print(f"\n{title}")
    for done, reading in readings.items():
        print(f"  after {done:3} jobs: {reading}")


def check_flat(readings: dict[int, Usage]) -> None:
    """From the first reading, when every kind has run, to the last."""
    (first, before), *_, (last, after) = readings.items()
    assert after.memory - before.memory < _GROWTH_MB * (last - first) + _SLACK_MB, readings
    assert after.threads <= before.threads + 1, readings
    assert after.open_files <= before.open_files + 2, readings
    assert after.temporary == before.temporary, readings


@pytest.mark.timeout(1800)
def test_jobs_of_changing_kind(server: ComfyServer) -> None:
    readings = {KINDS: usage(server)}
    marks = {20, 60, JOBS} if JOBS >= 60 else {JOBS}
    for number in range(KINDS, JOBS):
        do(server, number)
        if number + 1 in marks:
            readings[number + 1] = usage(server)
    report("jobs of changing kind", readings)
    check_flat(readings)
    assert not [path for path in server.output.rglob("*") if path.name.startswith(".")]


@pytest.mark.newest
@pytest.mark.timeout(1800)
def test_a_long_queue(server: ComfyServer) -> None:
    """All of it is queued before the first job has run; every job gives a file of its own."""
    queued = JOBS // 2
    client = server.client  # each has connections of its own
    before = usage(server)
    executions = [client.submit(job(number)) for number in range(JOBS, JOBS + queued)]
    results = [execution.result() for execution in executions]
    assert {result.status for result in results} == {"success"}
    told = [path for result in results for path in paths(server, result)]
    assert len(set(told)) == len(told) and all(path.stat().st_size for path in told)
    readings = {0: before, queued: usage(server)}
    report("queued jobs", readings)
    check_flat(readings)


@pytest.mark.newest  # test_cancel has each stage with every one
@pytest.mark.timeout(1800)
def test_random_cancels(server: ComfyServer) -> None:
    """Canceled at any moment, a job leaves the next one bit for bit as it was."""
    moments = random.Random(0)
    following = saved(sound(video="clip1.mp4", extract={"duration": 0.0}, sample={"seed": 42}))
    expected = read_audio(paths(server, run(server, following))[0])

    def cancelled(number: int) -> Graph:
        extract = {"duration": 0.0, "start_offset": number / 50, "prompt": f"rain {number}"}
        made = sound(video="clip2.mp4", extract=extract, sample={"seed": number, "steps": 20})
        images = node("EmptyImage", width=256, height=256, batch_size=60, color=7)
        return muxed(made | {"images": images}, images=["images", 0], frame_rate=5.0)

    begin = time.monotonic()
    run(server, cancelled(0))
    seconds = time.monotonic() - begin
    ends: list[str] = []
    for number in range(1, 1 + JOBS // 2):
        running = server.client.submit(cancelled(number))
        time.sleep(moments.uniform(0, seconds))
        server.client.interrupt()
        waiting = server.client.submit(following)
        ends.append(running.result().status)
        result = waiting.result()
        assert result.status == "success", result.message
        assert {"extract", "sample", "save"} <= executed(result)
        assert np.array_equal(read_audio(paths(server, result)[0]), expected)
    print("cancels:", ends)
    assert set(ends) <= {"interrupted", "success"} and ends.count("interrupted") > len(ends) // 2
    assert not [path for path in server.output.rglob("*") if path.name.startswith(".")]
