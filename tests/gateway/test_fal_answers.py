"""fal's answers, alone: every state and end of a job, the stream of events, synchronous runs."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from .fal import BODIES, MMAUDIO, SONILO, Output, State, ask, file_of, finished, shown
from .stand_in import KEY, StandIn, errors, failed, jobs, serve, until


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with serve("fal", stream_seconds=0.3, look_seconds=0.05) as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(running: StandIn) -> StandIn:
    running.created.clear()
    running.tickets.clear()
    running.refuse = None
    return running


# where a job is


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("logs", ["", "?logs=false", "?logs=0", "?logs=true", "?logs=1"])
@pytest.mark.parametrize("state", list(State))
def test_status_of_every_state(stand_in: StandIn, state: Any, logs: str, proxied: bool) -> None:
    job = finished(stand_in)
    job.state, job.position = state, 3
    job.logs.append(jobs.LogLine("Started.", 1_700_000_000.25))
    if state is State.FAILED:
        job.error = jobs.JobError(fault=jobs.Fault.INTERNAL, message="It broke.")
    answer = ask(stand_in, "GET", f"queue/{MMAUDIO}/requests/{job.id}/status{logs}", proxied)
    base = f"{stand_in.url}/fal/queue/{MMAUDIO}/requests/{job.id}"
    expected: dict[str, Any] = {
        "request_id": job.id,
        "response_url": base,
        "status_url": f"{base}/status",
        "cancel_url": f"{base}/cancel",
    }
    line = {
        "message": "Started.",
        "level": "INFO",
        "source": "USER",
        "timestamp": "2023-11-14T22:13:20.250+00:00",
    }
    if state in (State.RECEIVED, State.FETCHING, State.QUEUED):
        expected |= {"status": "IN_QUEUE", "queue_position": 3}
    elif state is State.RUNNING:
        expected |= {"status": "IN_PROGRESS"}
    else:
        expected |= {"status": "COMPLETED", "metrics": {"inference_time": 2.5}}
    if state is State.RUNNING or state in jobs.ENDS:
        expected["logs"] = [line] if logs.endswith(("true", "1")) else None
    if state is State.FAILED:
        expected |= {"error": "It broke.", "error_type": "internal_error"}
    if state is State.CANCELLED:
        expected |= {"error": "The request was cancelled.", "error_type": "client_cancelled"}
    assert answer.json() == expected
    assert answer.status_code == (200 if state in jobs.ENDS else 202)
    assert answer.headers["x-fal-request-id"] == job.id


ENDINGS = [
    (
        failed("got no video.", "video"),
        422,
        {"detail": [{"loc": ["body", "video_url"], "msg": "got no video.", "type": "value_error"}]},
        "bad_request",
    ),
    (
        failed("it ends too late.", "duration"),
        422,
        {
            "detail": [
                {"loc": ["body", "duration"], "msg": "it ends too late.", "type": "value_error"}
            ]
        },
        "bad_request",
    ),
    (
        failed("It broke.", fault="internal"),
        500,
        {"detail": "It broke.", "error_type": "internal_error"},
        "internal_error",
    ),
    (
        failed("It did not start.", fault="timeout"),
        504,
        {"detail": "It did not start.", "error_type": "request_timeout"},
        "request_timeout",
    ),
    (
        {"state": State.CANCELLED},
        499,
        {"detail": "The request was cancelled.", "error_type": "client_cancelled"},
        "client_cancelled",
    ),
]


@pytest.mark.parametrize(("end", "status", "body", "kind"), ENDINGS)
def test_jobs_that_did_not_end_well(
    stand_in: StandIn, end: dict[str, Any], status: int, body: Any, kind: str
) -> None:
    job = stand_in.add("fal", MMAUDIO, **end)
    path = f"queue/{MMAUDIO}/requests/{job.id}"
    answer = ask(stand_in, "GET", path)
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers["X-Fal-Error-Type"] == kind
    assert answer.headers["x-fal-request-id"] == job.id
    by_user = answer.headers.get("X-Fal-Request-Timeout-Type")
    assert by_user == ("user" if status == 504 else None)
    told = ask(stand_in, "GET", f"{path}/status").json()
    assert told["error_type"] == kind
    assert told["error"] == (body["detail"] if status != 422 else body["detail"][0]["msg"])
    assert stand_in.service.webhook_body(job) == {
        "request_id": job.id,
        "gateway_request_id": job.id,
        "status": "ERROR",
        "payload": body,
        "error": told["error"],
    }


@pytest.mark.parametrize(
    ("app", "output"),
    [
        (MMAUDIO, {"video": shown()}),
        (
            SONILO,
            {
                "audio": shown("clip_1.m4a", "audio/mp4"),
                "audios": [shown(f"clip_{k}.m4a", "audio/mp4") for k in (1, 2)],
            },
        ),
    ],
)
def test_result(stand_in: StandIn, app: str, output: Any) -> None:
    job = finished(stand_in, app)
    answer = ask(stand_in, "GET", f"queue/{app}/requests/{job.id}")
    assert (answer.status_code, answer.json()) == (200, output)
    assert answer.headers["x-fal-request-id"] == job.id
    assert stand_in.service.webhook_body(job) == {
        "request_id": job.id,
        "gateway_request_id": job.id,
        "status": "OK",
        "payload": output,
    }


@pytest.mark.parametrize("state", [state for state in State if state not in jobs.ENDS])
def test_result_that_is_not_there_yet(stand_in: StandIn, state: Any) -> None:
    job = stand_in.add("fal", MMAUDIO, state=state)
    answer = ask(stand_in, "GET", f"queue/{MMAUDIO}/requests/{job.id}")
    assert answer.status_code == 400
    assert answer.json() == {"detail": "Request is still in progress"}


@pytest.mark.parametrize("proxied", [False, True])
def test_cancel(stand_in: StandIn, proxied: bool) -> None:
    job = stand_in.add("fal", MMAUDIO, state=State.RUNNING)
    path = f"queue/{MMAUDIO}/requests/{job.id}/cancel"
    got = [ask(stand_in, "PUT", path, proxied) for _ in range(2)]
    got.append(ask(stand_in, "PUT", f"queue/{MMAUDIO}/requests/unknown/cancel", proxied))
    assert [(answer.status_code, answer.json()) for answer in got] == [
        (202, {"status": "CANCELLATION_REQUESTED"}),
        (400, {"status": "ALREADY_COMPLETED"}),
        (404, {"status": "NOT_FOUND"}),
    ]
    assert job.state is State.CANCELLED


def test_limit_of_a_key(stand_in: StandIn) -> None:
    stand_in.refuse = errors.TooManyError("too many.", 7)
    answer = ask(stand_in, "POST", f"queue/{MMAUDIO}", json=BODIES[MMAUDIO])
    assert (answer.status_code, answer.json()) == (429, {"detail": "too many."})
    assert answer.headers["Retry-After"] == "7"


def test_error_of_ours(stand_in: StandIn) -> None:
    stand_in.refuse = ZeroDivisionError("secret")
    answer = ask(stand_in, "POST", f"run/{MMAUDIO}", json=BODIES[MMAUDIO])
    assert answer.status_code == 500
    assert answer.json()["error_type"] == answer.headers["X-Fal-Error-Type"] == "internal_error"
    assert "secret" not in answer.text


# the stream of events


def events(answer: requests.Response) -> Iterator[Any]:
    for line in answer.iter_lines():
        if line:
            assert line.startswith(b"data: ")
            yield json.loads(line[6:])


@pytest.mark.parametrize("proxied", [False, True])
def test_stream(stand_in: StandIn, proxied: bool) -> None:
    job = stand_in.add("fal", MMAUDIO, state=State.QUEUED, position=2)
    path = f"queue/{MMAUDIO}/requests/{job.id}/status/stream?logs=1"
    log: list[Any] = []

    def change(line: str, **changes: Any) -> None:
        job.logs.append(jobs.LogLine(line, 0.0))
        stand_in.end(job, changes)

    with ask(stand_in, "GET", path, proxied, stream=True) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["x-fal-request-id"] == job.id
        for event in events(answer):
            lines = event.get("logs")
            log.append((event["status"], lines and [line["message"] for line in lines]))
            if len(log) == 1:
                assert event["queue_position"] == 2
                change("Queued.", position=1)
            elif len(log) == 2:
                assert event["queue_position"] == 1
                change("Started.", state=State.RUNNING)
            elif len(log) == 3:
                change("50 % done.", progress=0.5)
            elif len(log) == 5:  # after one that was due only because nothing changed
                change("Ended.", state=State.DONE, files=(file_of(Output.VIDEO),))
    assert log == [
        ("IN_QUEUE", None),
        ("IN_QUEUE", None),
        ("IN_PROGRESS", ["Queued.", "Started."]),
        ("IN_PROGRESS", ["50 % done."]),
        ("IN_PROGRESS", []),
        ("COMPLETED", ["Ended."]),
    ]


def test_stream_without_logs(stand_in: StandIn) -> None:
    job = finished(stand_in)
    job.logs.append(jobs.LogLine("Ended.", 0.0))
    path = f"queue/{MMAUDIO}/requests/{job.id}/status/stream"
    (event,) = events(ask(stand_in, "GET", path))
    assert (event["status"], event["logs"]) == ("COMPLETED", None)


def test_stream_whose_client_leaves(stand_in: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    job = stand_in.add("fal", MMAUDIO, state=State.RUNNING)
    path = f"queue/{MMAUDIO}/requests/{job.id}/status/stream"
    with ask(stand_in, "GET", path, stream=True) as answer:
        next(events(answer))

    def tell() -> None:  # then it is noticed; who still listens waits for the next change soon
        stand_in.end(job, {"position": job.position + 1})
        time.sleep(0.3)

    until(lambda: not job._waiting, tell)
    assert not caplog.records


# the synchronous run


@pytest.mark.parametrize("proxied", [False, True])
def test_run(stand_in: StandIn, proxied: bool) -> None:
    done = {"state": State.DONE, "files": (file_of(Output.VIDEO),)}
    answer = run_until(stand_in, done, proxied)
    assert (answer.status_code, answer.json()) == (200, {"video": shown()})
    assert answer.headers["x-fal-request-id"] in stand_in.jobs


@pytest.mark.parametrize(("end", "status", "body", "kind"), ENDINGS)
def test_run_that_does_not_end_well(
    stand_in: StandIn, end: dict[str, Any], status: int, body: Any, kind: str
) -> None:
    answer = run_until(stand_in, end)
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers["X-Fal-Error-Type"] == kind


def test_run_whose_client_leaves_is_cancelled(stand_in: StandIn) -> None:
    """Or its retries, of which nobody has the ids, would all run to their end."""
    body = json.dumps(BODIES[MMAUDIO])
    port = urlsplit(stand_in.url).port or 0
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(
        f"POST /mmaudio/fal/run/{MMAUDIO} HTTP/1.1\r\nHost: h\r\nAuthorization: Key {KEY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    job = job_of(stand_in)
    time.sleep(0.2)
    assert not job.ended
    connection.close()
    until(lambda: job.state is State.CANCELLED)


def run_until(stand_in: StandIn, end: dict[str, Any], proxied: bool = False) -> requests.Response:
    """The answer of a run whose job ends like that."""
    body = BODIES[MMAUDIO]
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, stand_in, "POST", f"run/{MMAUDIO}", proxied, json=body)
        job = job_of(stand_in)
        time.sleep(0.1)
        stand_in.end(job, end)
        return answer.result(30)


def job_of(stand_in: StandIn) -> Any:
    """The job of the request that is on its way."""
    until(lambda: bool(stand_in.created))
    return list(stand_in.jobs.values())[-1]
