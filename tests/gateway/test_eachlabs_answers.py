"""What Eachlabs' API answers: every state and end, webhooks, errors; no ComfyUI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from .eachlabs import call, create, refusal
from .stand_in import KEY, StandIn, done, errors, failed, jobs, serve

State = jobs.State


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with serve("eachlabs") as running:
        yield running


@pytest.fixture(autouse=True)
def clean(stand_in: StandIn) -> None:
    stand_in.created.clear()
    stand_in.refuse = None


@pytest.mark.parametrize("state", ["received", "fetching", "queued", "running"])
def test_unfinished_states(stand_in: StandIn, state: str) -> None:
    job = stand_in.add("eachlabs", "mmaudio", state=State(state))
    response = call(stand_in, "GET", f"prediction/{job.id}")
    assert response.status_code == 200
    assert response.json() == {"status": "processing", "predictionID": job.id}


ENDS = {
    "done": (
        done("https://us.example/clip.mp4"),
        {
            "status": "success",
            "output": "https://us.example/clip.mp4",
            "metrics": {"predict_time": 1.5},
        },
        {"status": "succeeded", "output": "https://us.example/clip.mp4", "error": ""},
    ),
    "input": (
        failed("got no video.", "video"),
        {"status": "error", "message": "input.video: got no video.", "details": "invalid_input"},
        {"status": "failed", "output": None, "error": "input.video: got no video."},
    ),
    "internal": (
        failed("Something went wrong.", fault="internal"),
        {"status": "error", "message": "Something went wrong.", "details": "internal_error"},
        {"status": "failed", "output": None, "error": "Something went wrong."},
    ),
    "cancelled": (
        {"state": State.CANCELLED},
        {
            "status": "error",
            "message": "The job was cancelled on the server.",
            "details": "cancelled",
        },
        {"status": "failed", "output": None, "error": "The job was cancelled on the server."},
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_ends_by_polling_and_by_webhook(stand_in: StandIn, end: str) -> None:
    changes, polled, told = ENDS[end]
    job = stand_in.add("eachlabs", "mmaudio", **changes)
    response = call(stand_in, "GET", f"prediction/{job.id}")
    assert response.status_code == 200
    assert response.json() == polled | {"predictionID": job.id}
    assert stand_in.service.webhook_body(job) == told | {"exec_id": job.id}


# errors


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "prediction/"), ("GET", "prediction/job-0"), ("GET", "nowhere")]
)
def test_every_path_asks_for_the_key(stand_in: StandIn, method: str, path: str) -> None:
    for key in ("wrong", "", None):
        said = refusal(call(stand_in, method, path, key=key, json={}), 401)
        assert said["details"] == "unauthorized"
    url = f"{stand_in.url}/eachlabs/v1/{path}"
    headers = {"Authorization": f"Bearer {KEY}"}
    refusal(requests.request(method, url, headers=headers, json={}, timeout=20), 401)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nowhere", 404),
        ("GET", "prediction/unknown", 404),
        ("GET", "prediction/", 405),
        ("DELETE", "prediction/job-0", 405),
    ],
)
def test_unknown_paths(stand_in: StandIn, method: str, path: str, status: int) -> None:
    refusal(call(stand_in, method, path), status)


def test_limits_and_faults(stand_in: StandIn) -> None:
    stand_in.refuse = errors.TooManyError("too many.", 7)
    response = create(stand_in)
    assert refusal(response, 429) == {
        "status": "error",
        "message": "too many.",
        "details": "too_many_requests",
    }
    assert response.headers["Retry-After"] == "7"
    stand_in.refuse = errors.InvalidInputError.at("input.video", "got a URL that is refused.")
    assert refusal(create(stand_in), 400)["message"] == "input.video: got a URL that is refused."
    stand_in.refuse = RuntimeError("a secret of the server's")
    said = refusal(create(stand_in), 500)
    assert said["details"] == "internal_error" and "secret" not in said["message"]


def test_a_body_that_is_too_large(stand_in: StandIn) -> None:
    said = refusal(create(stand_in, prompt="a" * 2**20), 413)
    assert said["details"] == "too_large"
