"""WaveSpeed's own clients, unmodified, in a second process, against a real ComfyUI."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from .clients import examples, play, run_node, run_python
from .conftest import KEYS, MAX_UNFINISHED, Served
from .wavespeed import MODEL, run_client

SMALL = {"prompt": "waves", "duration": 1, "num_inference_steps": 4}
Client = Callable[..., dict[str, Any]]


@pytest.fixture(params=["python", "javascript"])
def client(request: pytest.FixtureRequest, served: Served) -> Client:
    """``Client.run`` with the small model; what went wrong is told as ``error``."""
    folder = request.getfixturevalue("wavespeed_folder") if request.param == "javascript" else None

    def run(*, key: str = served.key, **asked: Any) -> dict[str, Any]:
        return run_client(folder, served.url, key, **SMALL | asked)

    return run


def call(served: Served, method: str, path: str, key: str = "", **options: Any) -> Any:
    """The ``data`` of an answer."""
    response = requests.request(
        method,
        f"{served.url}/wavespeed/api/v3/{path}",
        headers={"Authorization": f"Bearer {key or served.key}"},
        timeout=60,
        **options,
    )
    return response.json()["data"] if response.status_code == 200 else response


def submit(served: Served, query: str = "", key: str = "", **inputs: Any) -> Any:
    body = SMALL | {"video": served.video_url} | inputs
    return call(served, "POST", f"{MODEL}{query}", key, json=body)


def wait(served: Served, prediction: str, key: str = "") -> list[dict[str, Any]]:
    """What is polled until the end, each status once."""
    seen: list[dict[str, Any]] = []
    deadline = time.monotonic() + 120
    while not seen or seen[-1]["status"] in ("created", "processing"):
        assert time.monotonic() < deadline, seen
        data = call(served, "GET", f"predictions/{prediction}/result", key)
        if not seen or data["status"] != seen[-1]["status"]:
            seen.append(data)
        time.sleep(0.02)
    return seen


def plays(found: dict[str, Any], seconds: float) -> None:
    """One video with sound, of that length."""
    assert found.get("error") is None, found["error"]
    (url,) = found["outputs"]
    played = play(url)
    assert played.content_type == "video/mp4"
    assert played.picture == pytest.approx(seconds, abs=0.05)
    assert played.sound == pytest.approx(seconds, abs=0.1)


def test_a_video_gets_its_sound(client: Client, served: Served) -> None:
    plays(client(video=served.video_url), 1)


def test_sound_ends_with_the_video(client: Client, served: Served) -> None:
    plays(client(video=served.video_url, duration=30), 2)


def test_sync_mode(client: Client, served: Served) -> None:
    plays(client(video=served.video_url, sync=True), 1)


def test_an_upload(client: Client, clip_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "my clip; it's mine.mp4"
    path.write_bytes(clip_bytes)
    plays(client(upload=str(path)), 1)


def test_a_data_uri(client: Client, clip_bytes: bytes) -> None:
    text = base64.b64encode(clip_bytes).decode()
    plays(client(video=f"data:video/mp4;base64,{text}"), 1)


@pytest.mark.parametrize("sync", [False, True], ids=["polling", "sync mode"])
def test_a_video_that_is_none_fails_once(client: Client, served: Served, sync: bool) -> None:
    path = f"/none-{time.time_ns()}.mp4"
    found = client(video=served.host.url + path, sync=sync)
    assert "Prediction failed" in found["error"] and "status 404" in found["error"]
    assert served.host.gets.count(path) == 1  # not submitted again, though retries are allowed


def test_wrong_inputs_are_told(client: Client, served: Served) -> None:
    found = client(video=served.video_url, duration=8.5)
    assert "HTTP 400" in found["error"] and "duration: " in found["error"]
    found = client(video="http://127.0.0.1:8080/clip.mp4")
    assert "HTTP 400" in found["error"] and "not public" in found["error"]


def test_a_wrong_key_is_told(client: Client, served: Served) -> None:
    assert "HTTP 401" in client(video=served.video_url, key="wrong")["error"]


@pytest.fixture
def full_key(served: Served) -> Iterator[str]:
    """A key with as many unfinished jobs as it may have."""
    path, key = "/held.mp4", KEYS[2]
    with served.host.holding(path):
        jobs = [
            submit(served, key=key, video=served.host.url + path)["id"]
            for _ in range(MAX_UNFINISHED)
        ]
        yield key
    for job in jobs:
        assert wait(served, job, key)[-1]["status"] == "failed"


def test_too_many_are_refused(client: Client, served: Served, full_key: str) -> None:
    assert "HTTP 429" in client(video=served.video_url, key=full_key)["error"]
    response = submit(served, key=full_key)
    assert response.json()["code"] == 429 and int(response.headers["Retry-After"]) > 0


def test_cancelled_in_the_page(client: Client, served: Served) -> None:
    """A job that waits, then one that runs."""

    long = {"video": f"{served.host.url}/long.mp4", "duration": 30, "num_inference_steps": 50}
    with ThreadPoolExecutor(2) as pool:
        runs = pool.submit(client, **long)
        served.queued("queue_running")
        waits = pool.submit(client, **long)
        waiting = served.queued("queue_pending")
        requests.post(f"{served.server.url}/queue", json={"delete": waiting}, timeout=30)
        assert "cancelled" in waits.result(60)["error"]
        assert not runs.done()
        requests.post(f"{served.server.url}/interrupt", json={}, timeout=30)
        assert "cancelled" in runs.result(60)["error"]


def test_progress_goes_through_every_status(served: Served) -> None:
    seen = wait(served, submit(served, num_inference_steps=50, duration=2)["id"])
    assert [data["status"] for data in seen] in (
        ["created", "processing", "completed"],
        ["processing", "completed"],  # the first was in the answer of the submission
    )
    assert all(not data["outputs"] for data in seen[:-1])
    assert seen[-1]["timings"]["inference"] > 0


def test_another_key_sees_nothing(served: Served) -> None:
    job = submit(served)
    for path in (f"predictions/{job['id']}/result", f"predictions/{job['id']}"):
        response = call(served, "GET", path, served.other_key)
        assert response.status_code == 404
        assert response.json()["data"] is None
    assert wait(served, job["id"])[-1]["status"] == "completed"


def test_an_upload_is_its_owners(served: Served, clip_bytes: bytes) -> None:
    body = {"filename": "clip.mp4", "size": len(clip_bytes)}
    ticket = call(served, "POST", "media/uploads", json=body)
    video = {"video": ticket["download_url"]}
    assert submit(served, **video).status_code == 400  # it has not arrived
    put = ticket["upload"]
    response = requests.put(put["url"], data=clip_bytes, headers=put["headers"], timeout=60)
    assert response.status_code == 200
    assert submit(served, key=served.other_key, **video).status_code == 400
    assert wait(served, submit(served, **video)["id"])[-1]["status"] == "completed"
    assert requests.get(ticket["download_url"], timeout=60).content == clip_bytes
    again = requests.put(put["url"], data=clip_bytes, headers=put["headers"], timeout=60)
    assert again.status_code == 404


@pytest.mark.parametrize("good", [True, False], ids=["completed", "failed"])
def test_a_webhook_is_signed(served: Served, good: bool) -> None:
    path = f"/hook-{time.time_ns()}"
    video = served.video_url if good else f"{served.host.url}/none.mp4"
    job = submit(served, f"?webhook={served.host.url}{path}", video=video)
    (received,) = served.host.wait_for(1, path)

    secret = call(served, "GET", "webhook/secret")["secret"]
    assert secret.startswith("whsec_") and received.signed_with(secret.removeprefix("whsec_"))
    assert received.headers["Content-Type"] == "application/json"
    page: dict[str, Any] = {}
    exec(examples("wavespeed", "python")[-1], page)  # as the page verifies one
    assert page["is_genuine"](secret, received.headers, received.body)
    assert not page["is_genuine"](secret, received.headers, received.body + b" ")

    body = received.json()
    assert body == wait(served, job["id"])[-1] | {"input": SMALL | {"video": video}}
    assert body["status"] == ("completed" if good else "failed")


def test_a_private_webhook_is_refused(served: Served) -> None:
    response = submit(served, "?webhook=http://127.0.0.1:8080/hook")
    assert response.status_code == 400
    assert response.json()["message"].startswith("webhook: ")


@pytest.mark.parametrize("number", [0, 1], ids=["client", "module"])
def test_the_python_of_the_page(
    served: Served, clip_bytes: bytes, tmp_path: Path, number: int
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes)
    code = examples(
        "wavespeed",
        "python",
        server=served.server.url,
        key=served.key,
        video=served.video_url,
        file=repr(str(path)),
    )[number]
    plays({"outputs": [run_python(code)]}, 2)


def test_the_javascript_of_the_page(served: Served, wavespeed_folder: Path) -> None:
    (code,) = examples(
        "wavespeed",
        "javascript",
        server=served.server.url,
        key=served.key,
        video=served.video_url,
    )
    plays({"outputs": [run_node(wavespeed_folder, code)]}, 2)
