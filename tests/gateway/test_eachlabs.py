"""Eachlabs, as its page describes it (it has no client), against a real ComfyUI."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from .clients import examples, play, run_python, run_shell
from .conftest import KEYS, MAX_UNFINISHED, Served

SMALL = {"duration": 1, "num_steps": 4}


def post(served: Served, key: str = "", others: dict[str, str] | None = None, **inputs: Any) -> Any:
    body = {"model": "mmaudio", "input": SMALL | {"video": served.secure_video_url} | inputs}
    return requests.post(
        f"{served.url}/eachlabs/v1/prediction/",
        json=body | (others or {}),
        headers={"X-API-Key": key or served.key},
        timeout=60,
    )


def create(served: Served, key: str = "", **options: Any) -> str:
    """The id of a new prediction."""
    answer = post(served, key, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictionID"]


def get(served: Served, prediction: str, key: str = "") -> requests.Response:
    return requests.get(
        f"{served.url}/eachlabs/v1/prediction/{prediction}",
        headers={"X-API-Key": key or served.key},
        timeout=60,
    )


def wait(served: Served, prediction: str, key: str = "") -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        answer = get(served, prediction, key)
        assert answer.status_code == 200
        if answer.json()["status"] != "processing":
            return answer.json()
        time.sleep(0.05)
    raise AssertionError(f"{prediction} did not end")


def refusal(response: requests.Response, status: int) -> str:
    """The message of an error in Eachlabs' shape."""
    body = response.json()
    assert response.status_code == status, body
    assert set(body) == {"status", "message", "details"} and body["status"] == "error"
    return body["message"]


@pytest.mark.parametrize(("asked", "seconds"), [(1, 1), (30, 2)], ids=["as asked", "to its end"])
def test_a_video_gets_its_sound(served: Served, asked: float, seconds: float) -> None:
    prediction = create(served, duration=asked, prompt="waves")
    got = wait(served, prediction)
    assert set(got) == {"status", "predictionID", "output", "metrics"}
    assert (got["status"], got["predictionID"]) == ("success", prediction)
    assert 0 < got["metrics"]["predict_time"] < 120
    played = play(got["output"])
    assert played.content_type == "video/mp4"
    assert played.picture == pytest.approx(seconds, abs=0.05)
    assert played.sound == pytest.approx(seconds, abs=0.1)


def test_a_seed_gives_the_same_sound_again(served: Served) -> None:
    sounds = [play(wait(served, create(served, seed=seed))["output"]).digest for seed in (5, 5, 6)]
    assert sounds[0] == sounds[1] != sounds[2]


def test_only_public_https_addresses(served: Served, clip_bytes: bytes) -> None:
    data = f"data:video/mp4;base64,{base64.b64encode(clip_bytes).decode()}"
    port = served.secure_host.host.rpartition(":")[2]
    for video in (
        data,
        served.video_url,
        "http://a.example/clip.mp4",
        "ftp://a.example/clip.mp4",
        f"https://localhost:{port}/clip.mp4",  # the same host by a name that is not allowed
        "https://192.168.1.5/clip.mp4",
        "clip.mp4",
        "",
    ):
        assert refusal(post(served, video=video), 400).startswith("input.video: "), video


def test_the_content_decides(served: Served, clip_bytes: bytes) -> None:
    served.secure_host.files |= {"/clip.txt": clip_bytes, "/text.mp4": b"not a video" * 100}
    assert wait(served, create(served, video=f"{served.secure_host.url}/clip.txt"))["output"]
    prediction = create(served, video=f"{served.secure_host.url}/text.mp4")
    got = wait(served, prediction)
    assert set(got) == {"status", "predictionID", "message", "details"}
    assert (got["status"], got["predictionID"]) == ("error", prediction)
    assert got["details"] == "invalid_input"
    assert got["message"].startswith("input.video: ")


def test_wrong_inputs_and_models(served: Served) -> None:
    assert refusal(post(served, num_steps=51), 400).startswith("input.num_steps: ")
    assert "flux" in refusal(post(served, others={"model": "flux"}), 404)
    hook = {"webhook_url": "http://127.0.0.1:8080/hook"}
    assert refusal(post(served, others=hook), 400).startswith("webhook_url: ")


def test_a_wrong_key(served: Served) -> None:
    refusal(post(served, key="wrong"), 401)


def test_another_key_sees_nothing(served: Served) -> None:
    prediction = create(served)
    refusal(get(served, prediction, served.other_key), 404)
    refusal(get(served, "00000000-0000-4000-8000-000000000000"), 404)
    assert wait(served, prediction)["status"] == "success"


@pytest.fixture
def full_key(served: Served) -> Iterator[str]:
    """A key with as many unfinished jobs as it may have."""
    path, key = "/held.mp4", KEYS[2]
    with served.secure_host.holding(path):
        video = f"{served.secure_host.url}{path}"
        jobs = [create(served, key, video=video) for _ in range(MAX_UNFINISHED)]
        yield key
    for job in jobs:
        assert wait(served, job, key)["details"] == "invalid_input"


def test_too_many_are_refused(served: Served, full_key: str) -> None:
    response = post(served, full_key)
    assert str(MAX_UNFINISHED) in refusal(response, 429)
    assert int(response.headers["Retry-After"]) > 0
    assert wait(served, create(served))["status"] == "success"  # others go on


def test_cancelled_in_the_page(served: Served) -> None:
    """A job that waits, then one that runs."""
    long = {"video": f"{served.secure_host.url}/long.mp4", "duration": 30, "num_steps": 50}
    runs = create(served, **long)
    assert served.queued("queue_running") == [runs]
    waits = create(served, **long)
    assert served.queued("queue_pending") == [waits]
    requests.post(f"{served.server.url}/queue", json={"delete": [waits]}, timeout=30)
    assert wait(served, waits)["details"] == "cancelled"
    assert get(served, runs).json()["status"] == "processing"
    requests.post(f"{served.server.url}/interrupt", json={}, timeout=30)
    assert wait(served, runs)["details"] == "cancelled"


@pytest.mark.parametrize("secret", ["mine", None], ids=["own secret", "key's secret"])
@pytest.mark.parametrize("good", [True, False], ids=["succeeded", "failed"])
def test_a_webhook_is_signed(served: Served, good: bool, secret: str | None) -> None:
    path = f"/hook-{time.time_ns()}"
    hook = {"webhook_url": f"{served.host.url}{path}"} | (
        {"webhook_secret": secret} if secret else {}
    )
    video = served.secure_video_url if good else f"{served.secure_host.url}/none.mp4"
    prediction = create(served, others=hook, video=video)
    (received,) = served.host.wait_for(1, path)
    assert received.signed_with(secret or secret_of_key(served))
    got = wait(served, prediction)
    assert received.json() == {
        "exec_id": prediction,
        "status": "succeeded" if good else "failed",
        "output": got.get("output"),
        "error": got.get("message", ""),
    }


def secret_of_key(served: Served) -> str:
    answer = requests.get(
        f"{served.url}/wavespeed/api/v3/webhook/secret",
        headers={"Authorization": f"Bearer {served.key}"},
        timeout=30,
    )
    return answer.json()["data"]["secret"].removeprefix("whsec_")


def test_the_python_of_the_page(served: Served) -> None:
    (code,) = examples(
        "eachlabs",
        "python",
        server=served.server.url,
        key=served.key,
        video=served.secure_video_url,
    )
    assert play(run_python(code)).sound == pytest.approx(2, abs=0.1)


def test_the_shell_of_the_page(served: Served) -> None:
    (code,) = examples(
        "eachlabs", "bash", server=served.server.url, key=served.key, video=served.secure_video_url
    )
    created = json.loads(run_shell(code))
    assert wait(served, created["predictionID"])["status"] == "success"
