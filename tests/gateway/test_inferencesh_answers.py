"""inference.sh's answers, alone: every error, status number, task, line of a stream and file."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import requests

from .inferencesh import HEADERS, check_problem, run
from .stand_in import CREATED_AT, KEY, StandIn, errors, jobs, serve, until

State, Output, LogLine = jobs.State, jobs.Output, jobs.LogLine


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with serve("inferencesh", stream_seconds=0.2) as running:
        yield running


@pytest.fixture
def base(stand_in: StandIn) -> str:
    stand_in.created.clear()
    stand_in.tickets.clear()
    stand_in.jobs.clear()
    stand_in.refuse = None
    return f"{stand_in.url}/inferencesh"


# errors


def test_keys(base: str) -> None:
    url = f"{base}/tasks/job-1"
    for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": f"Key {KEY}"}):
        check_problem(requests.get(url, headers=headers, timeout=10), 401)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tasks/none"),
        ("GET", "/tasks/none/status"),
        ("GET", "/tasks/none/stream"),
        ("POST", "/tasks/none/cancel"),
        ("GET", "/nothing"),
        ("POST", "/agents/run"),
    ],
)
def test_what_is_not_here(base: str, method: str, path: str) -> None:
    check_problem(requests.request(method, base + path, headers=HEADERS, timeout=10), 404)


def test_other_methods(base: str) -> None:
    check_problem(requests.get(f"{base}/apps/run", headers=HEADERS, timeout=10), 405)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"a"', b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("path", ["/apps/run", "/files"])
def test_bodies_that_are_none(base: str, path: str, body: bytes) -> None:
    check_problem(requests.post(base + path, data=body, headers=HEADERS, timeout=10), 400)


def test_too_many(base: str, stand_in: StandIn) -> None:
    stand_in.refuse = errors.TooManyError("10 jobs of this key are unfinished.", 5)
    for answer in (
        run(base, {"prompt": "rain"}),
        requests.post(f"{base}/files", json={"files": [{}]}, headers=HEADERS, timeout=10),
    ):
        check_problem(answer, 429, "unfinished")
        assert answer.headers["Retry-After"] == "5"


def test_faults_of_ours_tell_no_secret(base: str, stand_in: StandIn) -> None:
    stand_in.refuse = RuntimeError("a secret")
    answer = run(base, {"prompt": "rain"})
    check_problem(answer, 500)
    assert "secret" not in answer.text


# tasks


@pytest.mark.parametrize(
    ("state", "status", "told"),
    [  # the clients' numbers; the page's, in a webhook
        (State.RECEIVED, 1, None),
        (State.FETCHING, 1, None),
        (State.QUEUED, 2, None),
        (State.RUNNING, 7, None),
        (State.DONE, 10, (9, "completed")),
        (State.FAILED, 11, (10, "failed")),
        (State.CANCELLED, 12, (11, "cancelled")),
    ],
)
def test_status_numbers(
    base: str, stand_in: StandIn, state: Any, status: int, told: tuple[int, str] | None
) -> None:
    job = finished(stand_in, state=state)
    url = f"{base}/tasks/{job.id}"
    assert requests.get(url, headers=HEADERS, timeout=10).json()["data"]["status"] == status
    slim = requests.get(f"{url}/status", headers=HEADERS, timeout=10).json()
    assert slim == {"data": {"id": job.id, "status": status}}
    if told is not None:
        body = stand_in.service.webhook_body(job)
        assert (body["status"], body["status_name"]) == told
        assert set(body) == {
            *("id", "status", "status_name", "output", "error"),
            *("session_id", "created_at", "updated_at"),
        }


def finished(stand_in: StandIn, video: bool = True, **changes: Any) -> Any:
    def file(output: Any, name: str, kind: str) -> Any:
        return jobs.ResultFile(
            output=output,
            url=f"{stand_in.url}/files/t/{name}",
            path=Path(name),
            file_name=name,
            content_type=kind,
            size=1000,
            duration=2.00045,
            sample_rate=44_100,
        )

    files = [file(Output.FLAC, "clip.flac", "audio/flac")]
    files += [file(Output.VIDEO, "clip.mp4", "video/mp4")] if video else []
    values = {
        "input": {"prompt": "rain"},
        "state": State.DONE,
        "files": tuple(files),
        "progress": 0.579,
        "updated_at": CREATED_AT + 0.75,
        "logs": [LogLine("Started.", CREATED_AT + 0.25), LogLine("50 % done.", CREATED_AT + 0.5)],
    }
    return stand_in.add("inferencesh", "infsh/mmaudio", **values | changes)


@pytest.mark.parametrize("video", [True, False])
def test_a_finished_task(base: str, stand_in: StandIn, video: bool) -> None:
    job = finished(stand_in, video)
    task = requests.get(f"{base}/tasks/{job.id}", headers=HEADERS, timeout=10).json()["data"]
    (log,) = task.pop("logs")
    assert log["log_type"] == 4
    assert base64.b64decode(log["content"]).decode().splitlines() == [
        "2023-11-14T22:13:20.500Z Started.",
        "2023-11-14T22:13:20.750Z 50 % done.",
    ]

    def file(name: str, kind: str) -> dict[str, Any]:
        url = f"{stand_in.url}/files/t/{name}"
        return {"uri": url, "content_type": kind, "size": 1000, "filename": name}

    output = {"audio_output": file("clip.flac", "audio/flac")}
    output |= {"video_output": file("clip.mp4", "video/mp4")} if video else {}
    assert task == {
        "id": job.id,
        "status": 10,
        "input": {"prompt": "rain"},
        "output": {**output, "duration": 2.0, "sampling_rate": 44_100},
        "error": "",
        "progress": 57,
        "session_id": None,
        "created_at": "2023-11-14T22:13:20.250Z",
        "updated_at": "2023-11-14T22:13:21.000Z",
    }


def test_a_failed_task(base: str, stand_in: StandIn) -> None:
    error = jobs.JobError(fault=jobs.Fault.INPUT, message="got a picture.")
    job = finished(stand_in, state=State.FAILED, error=error, files=())
    task = requests.get(f"{base}/tasks/{job.id}", headers=HEADERS, timeout=10).json()["data"]
    assert (task["status"], task["output"], task["error"]) == (11, None, "got a picture.")


def test_cancelling(base: str, stand_in: StandIn) -> None:
    job = finished(stand_in, state=State.RUNNING, files=(), cancelling=True)
    task = requests.get(f"{base}/tasks/{job.id}", headers=HEADERS, timeout=10).json()["data"]
    assert task["status"] == 8
    for _ in range(2):  # a task that has ended is told as it is
        answer = requests.post(f"{base}/tasks/{job.id}/cancel", headers=HEADERS, timeout=10)
        assert (answer.status_code, answer.json()["data"]["status"]) == (200, 12)


# streams


def test_a_stream_tells_every_change_and_ends(base: str, stand_in: StandIn) -> None:
    job = finished(stand_in, state=State.QUEUED, progress=0.0)
    with requests.get(
        f"{base}/tasks/{job.id}/stream", headers=HEADERS, stream=True, timeout=10
    ) as answer:
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        assert answer.headers["Transfer-Encoding"] == "chunked"
        lines = (json.loads(line) for line in answer.iter_lines())
        assert next(lines)["status"] == 2
        stand_in.end(job, {"state": State.RUNNING, "progress": 0.5})
        line = next(line for line in lines if line["status"] != 2)
        assert (line["status"], line["progress"]) == (7, 50)
        stand_in.end(job, {"state": State.DONE, "progress": 1.0})
        rest = [line["status"] for line in islice(lines, 20)]
        assert [status for status in rest if status != 7] == [10]


def test_a_silent_stream_has_a_line_now_and_then(base: str, stand_in: StandIn) -> None:
    assert (
        0 < type(stand_in.service).stream_seconds <= 9
    )  # the contract says 10 s, and lines travel
    job = finished(stand_in, state=State.QUEUED)
    url = f"{base}/tasks/{job.id}/stream"
    with requests.get(url, headers=HEADERS, stream=True, timeout=30) as answer:
        lines = answer.iter_lines(chunk_size=1)
        began = time.monotonic()
        tasks = [json.loads(next(lines)) for _ in range(4)]
        assert time.monotonic() - began >= 3 * 0.2
    assert {task["id"] for task in tasks} == {job.id}  # a task each: heartbeats end a client's wait


def test_a_stream_of_a_finished_task_is_one_line(base: str, stand_in: StandIn) -> None:
    job = finished(stand_in)
    with requests.get(
        f"{base}/tasks/{job.id}/stream", headers=HEADERS, stream=True, timeout=10
    ) as answer:
        (line,) = islice(answer.iter_lines(), 20)
    assert json.loads(line)["status"] == 10


def test_a_stream_is_not_asked_for_by_head(base: str, stand_in: StandIn) -> None:
    """Its lines would follow an answer that has no body: a proxy would take them for the next."""
    finished(stand_in)
    answer = requests.head(f"{base}/tasks/job-0/stream", headers=HEADERS, timeout=10)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


def test_a_client_may_leave_its_stream(
    base: str, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    job = finished(stand_in, state=State.QUEUED)
    url = f"{base}/tasks/{job.id}/stream"
    with requests.get(url, headers=HEADERS, stream=True, timeout=10) as answer:
        next(answer.iter_lines(chunk_size=1))

    def tell() -> None:  # then it is noticed; who still listens waits for the next change soon
        stand_in.end(job, {"progress": job.progress + 0.001})
        time.sleep(0.3)

    until(lambda: not job._waiting, tell)
    assert not caplog.records


# files


def test_files(base: str, stand_in: StandIn) -> None:
    files = [
        {"uri": "", "filename": "a.mp4", "content_type": "video/mp4", "path": None, "size": 3},
        {"uri": "", "filename": None, "content_type": None, "size": None, "public": False},
        {},
    ]
    answer = requests.post(f"{base}/files", json={"files": files}, headers=HEADERS, timeout=10)
    assert answer.status_code == 200
    assert stand_in.tickets == [("a.mp4", "video/mp4", 3), ("", None, None), ("", None, None)]
    assert [file["size"] for file in answer.json()["data"]] == [3, None, None]
    assert answer.json()["data"][0] == {
        "id": "id",
        "uri": f"{stand_in.url}/files/f/a.mp4",
        "upload_url": f"{stand_in.url}/uploads/t",
        "filename": "a.mp4",
        "content_type": "video/mp4",
        "size": 3,
    }


@pytest.mark.parametrize(
    "files", [None, [], {}, [5], [{"size": -1}], [{"size": True}], [{"filename": 5}], [{}] * 11]
)
def test_wrong_files(base: str, stand_in: StandIn, files: Any) -> None:
    answer = requests.post(f"{base}/files", json={"files": files}, headers=HEADERS, timeout=10)
    check_problem(answer, 400, "files")
    assert not stand_in.tickets
