"""What the owner does in ComfyUI's page while clients wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from .conftest import Served
from .poller import Poller

SECONDS = 30  # on a busy machine


def clear_queue(url: str) -> None:
    requests.post(f"{url}/queue", json={"clear": True}, timeout=30).raise_for_status()


def clear_history(url: str) -> None:
    requests.post(f"{url}/history", json={"clear": True}, timeout=30).raise_for_status()


def interrupt(url: str) -> None:
    requests.post(f"{url}/interrupt", json={}, timeout=30).raise_for_status()


def clear_all(url: str) -> None:
    clear_queue(url)
    interrupt(url)
    clear_history(url)


def queued(url: str) -> tuple[set[str], set[str]]:
    """Ids of the prompts that run, and of those that wait."""
    queue = requests.get(f"{url}/queue", timeout=30).json()
    running, waiting = queue["queue_running"], queue["queue_pending"]
    return {item[1] for item in running}, {item[1] for item in waiting}


@pytest.fixture
def poller(served: Served) -> Poller:
    return Poller(served.url, served.key)


def start(served: Served, poller: Poller, count: int) -> list[str]:
    """Jobs, the first of which runs; all others wait."""
    jobs = [
        poller.create(served.secure_video_url, num_steps=50, duration=2, prompt=f"{time.time()}")
        for _ in range(count)
    ]
    deadline = time.monotonic() + 60
    while True:
        running, waiting = queued(served.server.url)
        if running & set(jobs) and len(waiting & set(jobs)) >= count - 2:  # one may have ended
            return jobs
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("act", [clear_all, clear_history])
def test_every_client_gets_an_end(
    served: Served, poller: Poller, act: Callable[[str], None]
) -> None:
    jobs = start(served, poller, 6)
    act(served.server.url)
    began = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        ends = list(pool.map(poller.wait, jobs))
    if act is clear_all:
        assert time.monotonic() - began < SECONDS
        assert {end["details"] for end in ends if end["status"] == "error"} == {"cancelled"}
        assert sum(end["status"] == "success" for end in ends) <= 1
    else:  # a cleared history takes nothing from them
        assert [end["status"] for end in ends] == ["success"] * 6


def test_interrupt_ends_the_running_job_only(served: Served, poller: Poller) -> None:
    jobs = start(served, poller, 3)
    interrupted = (queued(served.server.url)[0] & set(jobs)).pop()
    interrupt(served.server.url)
    began = time.monotonic()
    end = poller.wait(interrupted)
    assert time.monotonic() - began < SECONDS
    assert end["details"] == "cancelled"
    others = [poller.wait(job)["status"] for job in jobs if job != interrupted]
    assert others == ["success", "success"]


def test_a_history_cleared_after_the_end_takes_no_result(served: Served, poller: Poller) -> None:
    job = poller.create(served.secure_video_url)
    end = poller.wait(job)
    clear_history(served.server.url)
    assert poller.get(job) == end
    assert requests.get(end["output"], timeout=30).status_code == 200


def test_jobs_are_seen_in_queue_and_history(served: Served, poller: Poller) -> None:
    job = poller.create(served.secure_video_url)
    poller.wait(job)
    deadline = time.monotonic() + 60
    while job not in requests.get(f"{served.server.url}/history/{job}", timeout=30).json():
        assert time.monotonic() < deadline
