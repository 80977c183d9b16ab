"""What WaveSpeed's API answers: predictions, sync mode, tickets, webhooks, errors; no ComfyUI."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from .stand_in import KEY, SECRET, StandIn, done, errors, failed, jobs, serve, services
from .wavespeed import MODEL, VIDEO, call, prediction, refusal, run_client, submit

State = jobs.State


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with serve("wavespeed", sync_seconds=0.4, keep_alive_seconds=0.1) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(stand_in: StandIn) -> None:
    stand_in.created.clear()
    stand_in.refuse = None


def test_a_new_prediction(stand_in: StandIn) -> None:
    data = prediction(submit(stand_in))
    base = f"{stand_in.url}/wavespeed/api/v3/predictions"
    assert data == {
        "id": data["id"],
        "model": MODEL,
        "outputs": [],
        "urls": {"get": f"{base}/{data['id']}/result"},
        "has_nsfw_contents": [],
        "status": "created",
        "created_at": "2023-11-14T22:13:20.250Z",
        "error": "",
        "timings": {"inference": 0},
    }


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("received", "created"),
        ("fetching", "created"),
        ("queued", "created"),
        ("running", "processing"),
    ],
)
def test_unfinished_states(stand_in: StandIn, state: str, status: str) -> None:
    job = stand_in.add("wavespeed", MODEL, state=State(state))
    data = prediction(call(stand_in, "GET", f"predictions/{job.id}/result"))
    assert (data["status"], data["outputs"], data["error"]) == (status, [], "")


def test_a_finished_prediction_at_both_paths(stand_in: StandIn) -> None:
    job = stand_in.add("wavespeed", MODEL, **done("https://us.example/clip.mp4"))
    data = prediction(call(stand_in, "GET", f"predictions/{job.id}/result"))
    assert data == prediction(call(stand_in, "GET", f"predictions/{job.id}"))
    assert (data["status"], data["error"]) == ("completed", "")
    assert data["outputs"] == ["https://us.example/clip.mp4"]
    assert data["has_nsfw_contents"] == [False]
    assert data["timings"] == {"inference": 1500}


def test_a_cancelled_prediction(stand_in: StandIn) -> None:
    job = stand_in.add("wavespeed", MODEL, state=State.CANCELLED)
    data = prediction(call(stand_in, "GET", f"predictions/{job.id}/result"))
    assert data["status"] == "cancelled" and "cancelled" in data["error"]
    assert data["outputs"] == data["has_nsfw_contents"] == []


@pytest.mark.parametrize("said", ["HTTP 500", "HTTP 503 Busy", "http 429", "Http 5", "status 429"])
def test_no_error_makes_a_client_submit_again(stand_in: StandIn, said: str) -> None:
    job = stand_in.add("wavespeed", MODEL, **failed(f"the server said {said}.", "video"))
    data = prediction(call(stand_in, "GET", f"predictions/{job.id}/result"))
    assert data["status"] == "failed"
    assert data["error"].startswith("video: the server said status ")
    assert "http 5" not in data["error"].lower()  # for the Python client, and the JavaScript one
    assert "429" not in data["error"]  # for the latter, wherever it is


def test_sync_mode_answers_at_the_end(stand_in: StandIn) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(submit, stand_in, enable_sync_mode=True)
        while not stand_in.created:
            time.sleep(0.01)
        time.sleep(0.15)
        stand_in.end(list(stand_in.jobs.values())[-1], done("https://us.example/clip.mp4"))
        response = answer.result(20)
    assert response.text.startswith(" ")  # proxies and clients see that something is coming
    data = prediction(response)
    assert (data["status"], data["outputs"]) == ("completed", ["https://us.example/clip.mp4"])
    assert "code" not in data


def test_sync_mode_ends_in_time(stand_in: StandIn) -> None:
    start = time.monotonic()
    data = prediction(submit(stand_in, enable_sync_mode=True))
    assert time.monotonic() - start >= 0.4
    assert (data["status"], data["code"]) == ("processing", 5004)
    assert data["error"] == "Sync mode timed out"
    later = prediction(call(stand_in, "GET", f"predictions/{data['id']}/result"))
    assert later["status"] == "created" and "code" not in later


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_clients_know_that_sync_mode_has_timed_out(
    request: pytest.FixtureRequest, stand_in: StandIn, language: str
) -> None:
    folder = request.getfixturevalue("wavespeed_folder") if language == "javascript" else None
    found = run_client(folder, stand_in.url, KEY, video=VIDEO, prompt="", sync=True)
    assert len(stand_in.created) == 1  # not submitted again
    assert "Sync mode timed out" in found["error"]
    job = list(stand_in.jobs.values())[-1]
    assert f"{stand_in.url}/wavespeed/api/v3/predictions/{job.id}/result" in found["error"]


def test_sync_mode_waits_300_seconds() -> None:
    kind = next(kind for kind in services.SERVICES if kind.name == "wavespeed")
    assert kind.sync_seconds == 300
    assert kind.keep_alive_seconds < 60  # nginx's patience


def test_a_client_that_leaves_in_sync_mode(
    stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(requests.RequestException):
        requests.post(
            f"{stand_in.url}/wavespeed/api/v3/{MODEL}",
            json={"video": VIDEO, "prompt": "", "enable_sync_mode": True},
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=0.05,
        )
    time.sleep(0.6)
    assert not caplog.records  # it is no fault of the server's
    prediction(submit(stand_in))


def test_the_body_of_a_webhook(stand_in: StandIn) -> None:
    job = stand_in.add("wavespeed", MODEL, input={"prompt": "waves"}, **done("https://us/c.mp4"))
    data = prediction(call(stand_in, "GET", f"predictions/{job.id}/result"))
    assert stand_in.service.webhook_body(job) == data | {"input": {"prompt": "waves"}}


# uploads and the webhooks' secret


def test_an_upload_ticket(stand_in: StandIn) -> None:
    body = {"filename": "my clip.mp4", "size": 7, "content_type": "video/mp4"}
    data = prediction(call(stand_in, "POST", "media/uploads", json=body))
    assert stand_in.tickets[-1] == ("my clip.mp4", "video/mp4", 7)
    assert data == {
        "download_url": f"{stand_in.url}/files/f/a.mp4",
        "upload": {
            "method": "PUT",
            "url": f"{stand_in.url}/uploads/t",
            "headers": {"Content-Type": "video/mp4"},
        },
    }
    prediction(call(stand_in, "POST", "media/uploads", json={"filename": "a", "size": 1}))
    assert stand_in.tickets[-1] == ("a", None, 1)


@pytest.mark.parametrize(
    "body",
    [
        {"size": 7},
        {"filename": "a"},
        {"filename": 5, "size": 7},
        {"filename": "a", "size": 0},
        {"filename": "a", "size": -1},
        {"filename": "a", "size": 1.5},
        {"filename": "a", "size": True},
        {"filename": "a", "size": 1, "content_type": 5},
        [],
    ],
)
def test_wrong_upload_tickets(stand_in: StandIn, body: Any) -> None:
    refusal(call(stand_in, "POST", "media/uploads", json=body), 400)


def test_the_secret_has_its_prefix(stand_in: StandIn) -> None:
    assert prediction(call(stand_in, "GET", "webhook/secret")) == {"secret": f"whsec_{SECRET}"}


# errors


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", MODEL),
        ("GET", "predictions/job-0/result"),
        ("GET", "predictions/job-0"),
        ("GET", "webhook/secret"),
        ("POST", "media/uploads"),
        ("GET", "nowhere"),
    ],
)
def test_every_path_asks_for_the_key(stand_in: StandIn, method: str, path: str) -> None:
    refusal(call(stand_in, method, path, key="wrong", json={}), 401)
    refusal(call(stand_in, method, path, key=None, json={}), 401)
    url = f"{stand_in.url}/wavespeed/api/v3/{path}"
    for other in (f"Key {KEY}", KEY, "Bearer", ""):
        headers = {"Authorization": other}
        refusal(requests.request(method, url, headers=headers, json={}, timeout=20), 401)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "wavespeed-ai/mmaudio-v3", 404),
        ("POST", "nowhere", 404),
        ("GET", "nowhere/at/all", 405),
        ("GET", "predictions/unknown/result", 404),
        ("GET", "predictions/unknown", 404),
        ("GET", MODEL, 405),
        ("PUT", MODEL, 405),
        ("DELETE", "webhook/secret", 405),
    ],
)
def test_unknown_paths(stand_in: StandIn, method: str, path: str, status: int) -> None:
    refusal(call(stand_in, method, path, json={"video": VIDEO, "prompt": ""}), status)


def test_limits_and_faults(stand_in: StandIn) -> None:
    stand_in.refuse = errors.TooManyError("too many.", 7)
    response = submit(stand_in)
    assert refusal(response, 429) == "too many." and response.headers["Retry-After"] == "7"
    refusal(call(stand_in, "POST", "media/uploads", json={"filename": "a", "size": 1}), 429)
    stand_in.refuse = errors.InvalidInputError.at("video", "got a URL that is refused.")
    assert refusal(submit(stand_in), 400) == "video: got a URL that is refused."
    assert refusal(submit(stand_in, enable_sync_mode=True), 400)  # at once, not in a 200
    stand_in.refuse = errors.TooLargeError("too large.")
    refusal(call(stand_in, "POST", "media/uploads", json={"filename": "a", "size": 1}), 413)
    stand_in.refuse = RuntimeError("a secret of the server's")
    assert "secret" not in refusal(submit(stand_in), 500)


def test_a_body_that_is_too_large(stand_in: StandIn) -> None:
    assert "too large" in refusal(submit(stand_in, video="data:," + "a" * 2**20), 413)
