"""``fal-client``, unmodified and over TLS, which it insists on, against a real ComfyUI."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.server import ComfyServer

from .clients import examples, play, run_python
from .conftest import KEYS, Served, Tls, environment, write_models
from .fal import MMAUDIO, QUICK, SECONDS, SLOW, SONILO, busy, refuse_twice
from .stand_in import KEY, serve
from .video_host import VideoHost

SCRIPT = (Path(__file__).parent / "scripts" / "fal_python.py").read_text("utf-8")
Client = Callable[..., Any]


def run_script(url: str, tls: Tls, scenario: str, key: str, **arguments: Any) -> Any:
    """What a scenario of ``scripts/fal_python.py`` saw."""
    address = url.partition("://")[2]
    printed = run_python(
        SCRIPT,
        scenario,
        json.dumps(arguments),
        FAL_RUN_HOST=f"{address}/fal/run",
        FAL_QUEUE_RUN_HOST=f"{address}/fal/queue",
        FAL_KEY=key,
        SSL_CERT_FILE=str(tls.authority),
    )
    return json.loads(printed)


@pytest.fixture
def client(secure: Served, tls: Tls) -> Client:
    """A scenario with the clip as its video, which must not raise."""

    def run(scenario: str, *, key: str = secure.key, **arguments: Any) -> Any:
        got = run_script(
            secure.url, tls, scenario, key, **{"video_url": secure.video_url} | arguments
        )
        assert list(got) == ["answer"], got
        return got["answer"]

    return run


def queued(url: str, tls: Tls, state: str) -> list[str]:
    """Ids of the prompts that are ``running`` or ``pending``."""
    queue = requests.get(f"{url}/queue", verify=str(tls.authority), timeout=30).json()
    return [item[1] for item in queue[f"queue_{state}"]]


def check_video(tls: Tls, output: Any, seconds: float = 1.0) -> None:
    """It is a file as fal describes it, and plays, picture and sound, for so long."""
    assert list(output) == ["video"]
    file = output["video"]
    assert (file["content_type"], file["file_name"]) == ("video/mp4", "clip.mp4")
    played = play(file["url"], tls.authority)
    assert played.content_type == "video/mp4"
    assert played.picture == pytest.approx(seconds, abs=0.05)
    assert played.sound == pytest.approx(seconds, abs=0.1)


def test_subscribe(client: Client, tls: Tls) -> None:
    got = client("subscribe", **QUICK)
    states = [update["status"] for update in got["updates"]]
    assert states[-1] == "Completed"
    assert states == sorted(states, key=["Queued", "InProgress", "Completed"].index)
    assert str(uuid.UUID(got["id"])) == got["id"]
    end = got["updates"][-1]
    assert (end["error"], end["error_type"]) == (None, None)
    assert 0 < end["metrics"]["inference_time"] < 60
    logs = [line["message"] for line in end["logs"]]
    assert logs[:3] == ["Fetching the video.", "Waiting in the queue.", "Started."]
    assert "100 % done." in logs
    check_video(tls, got["result"])


def test_progress_grows_in_the_logs(client: Client, secure: Served) -> None:
    got = client("subscribe", video_url=f"{secure.host.url}/long.mp4", **QUICK | {"duration": 8})
    seen = [len(update["logs"]) for update in got["updates"] if update.get("logs") is not None]
    assert len(set(seen)) >= 3
    assert seen == sorted(seen)
    percents = [
        int(line["message"].split()[0])
        for line in got["updates"][-1]["logs"]
        if line["message"].endswith("% done.")
    ]
    assert percents == sorted(set(percents))


def test_every_call_on_a_request(client: Client, secure: Served, tls: Tls) -> None:
    got = client("handle", **QUICK)
    base = f"{secure.url}/fal/queue/{MMAUDIO}/requests/{got['id']}"
    assert got["urls"] == [base, f"{base}/status", f"{base}/cancel"]
    assert got["first"]["status"] in ("Queued", "InProgress")
    assert got["updates"][-1]["status"] == "Completed"
    check_video(tls, got["result"])
    assert got["by id"] == got["result"]
    assert got["with logs"]["logs"][-1]["source"] == "USER"
    assert got["without logs"] == got["with logs"] | {"logs": None}
    assert got["cancelled"]["status"] == 400
    assert json.loads(got["cancelled"]["message"]) == {"status": "ALREADY_COMPLETED"}


def test_run_and_encoded_file(client: Client, tls: Tls, clip_bytes: bytes, tmp_path: Path) -> None:
    check_video(tls, client("run", **QUICK))
    path = tmp_path / "own.mp4"
    path.write_bytes(clip_bytes)
    output = client("encoded", path=str(path), **QUICK | {"duration": 1.5})
    assert output["video"]["file_name"] == "mmaudio.mp4"
    played = play(output["video"]["url"], tls.authority)
    assert played.sound == pytest.approx(1.5, abs=0.1)


def test_asynchronous_client(client: Client, tls: Tls) -> None:
    got = client("asynchronously", **QUICK)
    states = [update["status"] for update in got["updates"]]
    assert states[-1] == "Completed"
    assert got["updates"][-1]["logs"]
    assert got["first"]["status"] in ("Queued", "InProgress", "Completed")
    for name in ("result", "got", "ran"):
        check_video(tls, got[name])
    assert (got["end"]["status"], got["end"]["error_type"]) == ("Completed", "client_cancelled")


def test_music_for_a_video(client: Client, tls: Tls) -> None:
    got = client(
        "subscribe", app=SONILO, prompt="a waltz", num_samples=3, start_offset=0.5, duration=1
    )
    output = got["result"]
    assert (list(output), len(output["audios"])) == (["audio", "audios"], 3)
    assert output["audio"] == output["audios"][0]
    names = [file["file_name"] for file in output["audios"]]
    assert names == ["clip_1.m4a", "clip_2.m4a", "clip_3.m4a"]
    files = [play(file["url"], tls.authority) for file in output["audios"]]
    assert len({played.digest for played in files}) == 3
    for file, played in zip(output["audios"], files, strict=True):
        assert file["content_type"] == "audio/mp4"
        assert (played.content_type, played.picture) == ("audio/mp4", 0.0)
        assert played.sound == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("prompt", [{}, {"prompt": "a waltz"}])
def test_music_for_the_rest_of_a_video(client: Client, tls: Tls, prompt: dict[str, str]) -> None:
    """With a prompt that is made from the video unless there is one."""
    output = client("run", app=SONILO, start_offset=0.5, **prompt)
    assert output["audios"] == [output["audio"]]
    assert output["audio"]["file_name"] == "clip.m4a"
    assert play(output["audio"]["url"], tls.authority).sound == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"start_offset": 0.5, "duration": 1.6}, "duration"),
        ({"start_offset": 2.0}, "start_offset"),
        ({"start_offset": 1.99}, "video_url"),
    ],
)
def test_music_beyond_the_end_of_the_video(
    client: Client, inputs: dict[str, float], field: str
) -> None:
    got = client("tried", app=SONILO, prompt="a waltz", **inputs)
    assert got["status"] == 422
    assert [error["loc"] for error in got["message"]] == [["body", field]], got
    assert got["headers"]["x-fal-request-id"]


def test_wrong_input(client: Client) -> None:
    got = client("tried", **QUICK | {"num_steps": 51})
    (error,) = got["message"]
    assert (got["status"], error["loc"], error["ctx"]) == (422, ["body", "num_steps"], {"le": 50})


def test_webhook_to_a_private_address(secure: Served, tls: Tls) -> None:
    arguments = QUICK | {"video_url": secure.video_url, "webhook_url": "http://127.0.0.1:8080/hook"}
    got = run_script(secure.url, tls, "submit", secure.key, **arguments)
    assert (got["status"], got["message"][0]["loc"]) == (422, ["query", "fal_webhook"])


@pytest.mark.parametrize("url", ["clip.mp4", "http://127.0.0.1:1/clip.mp4", "data:video/mp4,x", ""])
def test_wrong_video(client: Client, url: str) -> None:
    got = client("tried", **QUICK | {"video_url": url})
    assert (got["status"], got["message"][0]["loc"]) == (422, ["body", "video_url"])


def test_video_that_is_not_there(client: Client, secure: Served) -> None:
    got = client("tried", **QUICK | {"video_url": f"{secure.host.url}/nothing.mp4"})
    assert (got["status"], got["error_type"]) == (422, "bad_request")
    assert got["message"][0]["loc"] == ["body", "video_url"]


def test_wrong_key(client: Client) -> None:
    got = client("tried", key="a wrong key", **QUICK)
    assert got["status"] == 401
    assert isinstance(got["message"], str)


def test_what_there_is_not(client: Client, secure: Served) -> None:
    other = client("submit", key=secure.other_key, **QUICK)[0]
    for id in (str(uuid.uuid4()), other):
        got = client("unknown", id=id, **QUICK)
        assert [got[name]["status"] for name in ("status", "result", "cancel", "application")] == [
            404
        ] * 4
        assert "error" in str(got["stream"]).lower()
    got = client("unknown", app=SONILO, id=client("submit", **QUICK)[0])
    assert got["result"]["status"] == 404


def test_cancelled_while_waiting(client: Client, secure: Served, tls: Tls) -> None:
    with busy(secure.server):
        got = client("cancel", when="Queued", position=1, **QUICK)
        assert not queued(secure.server.url, tls, "pending")
    check_cancelled(got)
    assert got["end"]["metrics"] == {"inference_time": 0.0}


def test_cancelled_while_running(client: Client, secure: Served) -> None:
    video = f"{secure.host.url}/long.mp4"
    got = client("cancel", when="InProgress", **SLOW | {"video_url": video})
    check_cancelled(got)
    assert got["end"]["metrics"]["inference_time"] > 0


def check_cancelled(got: Any) -> None:
    assert got["end"]["error_type"] == "client_cancelled"
    assert got["took"] < SECONDS
    assert (got["result"]["status"], got["result"]["error_type"]) == (499, "client_cancelled")


def test_not_started_in_time(client: Client, secure: Served) -> None:
    with busy(secure.server):
        got = client("start_timeout", seconds=1.5, **QUICK)
    for name in ("run", "subscribe"):
        assert (got[name]["status"], got[name]["error_type"]) == (504, "request_timeout")
        assert got[name]["headers"]["x-fal-request-timeout-type"] == "user"


def test_started_in_time(client: Client) -> None:
    assert client("start_timeout", seconds=60, **QUICK)["run"]["answer"]["video"]["url"]


def test_client_that_waits_no_longer(client: Client, secure: Served) -> None:
    """It cancels what it asked for."""
    with busy(secure.server):
        got = client("client_timeout", seconds=2, **QUICK)
        assert got["kind"] == "FalClientTimeoutError"
        id = got["message"].split()[1]
        seen = client("status", id=id)
    assert seen["error_type"] in ("client_cancelled", "request_timeout")


def test_run_whose_client_leaves_is_cancelled(client: Client, secure: Served, tls: Tls) -> None:
    """Nobody else knows its id."""
    with busy(secure.server):
        got = client("impatient", seconds=3, **QUICK)
        assert got["kind"] == "ReadTimeout"
        deadline = time.monotonic() + SECONDS
        while queued(secure.server.url, tls, "pending"):
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("ends", ["OK", "ERROR"])
def test_webhook(client: Client, secure: Served, tls: Tls, ends: str) -> None:
    video = secure.video_url if ends == "OK" else f"{secure.host.url}/nothing.mp4"
    hook = f"/hook-{uuid.uuid4()}"
    url = f"{secure.host.url}{hook}?a=1&b=%20"
    (id,) = client("submit", webhook_url=url, **QUICK | {"video_url": video})
    (got,) = secure.host.wait_for(1, hook)
    body = got.json()
    assert (body["request_id"], body["gateway_request_id"], body["status"]) == (id, id, ends)
    assert got.path == f"{hook}?a=1&b=%20"
    if ends == "OK":
        assert body["payload"] == client("result", id=id)
        assert "error" not in body
    else:
        assert body["payload"]["detail"][0]["loc"] == ["body", "video_url"]
        assert body["error"]
    headers = {name.lower(): value for name, value in got.headers.items()}
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + got.body
    secret = requests.get(
        f"{secure.url}/wavespeed/api/v3/webhook/secret",
        headers={"Authorization": f"Bearer {secure.key}"},
        verify=str(tls.authority),
        timeout=30,
    ).json()["data"]["secret"]
    digest = hmac.new(secret.removeprefix("whsec_").encode(), signed, hashlib.sha256).hexdigest()
    assert headers["webhook-signature"] == f"v3,{digest}"


@pytest.mark.slow
@pytest.mark.newest  # another one is killed in test_restart
def test_client_polls_through_a_crash(
    comfy_path: Path, host: VideoHost, tls: Tls, tmp_path: Path
) -> None:
    write_models(tmp_path)
    files = (tls.key, tls.certificate, tls.authority)
    server = ComfyServer(comfy_path, tmp_path, env=environment(host), tls=files)
    arguments = SLOW | {"video_url": f"{host.url}/long.mp4", "duration": 8}
    with ThreadPoolExecutor(1) as pool:
        with server:
            url = f"{server.url}/mmaudio"
            client = pool.submit(run_script, url, tls, "through_crash", KEYS[0], **arguments)
            while not (ids := queued(server.url, tls, "running")):
                assert not client.done(), client.result()
                time.sleep(0.05)
            server.kill()
        with server:
            got = client.result()["answer"]
            assert [got["id"]] == ids
            played = play(got["result"]["video"]["url"], tls.authority)
            assert played.sound == pytest.approx(8.0, abs=0.1)


@pytest.mark.parametrize("number", [0, 1], ids=["subscribe", "file"])
def test_the_python_of_the_page(
    secure: Served, tls: Tls, clip_bytes: bytes, tmp_path: Path, number: int
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes)
    code = examples("fal", "python", video=secure.video_url, file=repr(str(path)))[number]
    (exports,) = examples("fal", "bash", key=secure.key)
    address = secure.url.partition("://")[2].removesuffix("/mmaudio")
    variables = dict(
        line.removeprefix("export ").replace("sound.example.com", address).split("=")
        for line in exports.splitlines()
    )
    url = run_python(code, SSL_CERT_FILE=str(tls.authority), **variables)
    assert play(url, tls.authority).sound == pytest.approx(2.0, abs=0.1)


def test_limit_is_waited_for(tls: Tls) -> None:
    """fal-client asks again after 429, up to ten times."""
    asked: list[str] = []
    with serve("fal", tls=tls.context()) as stand_in:
        refuse_twice(stand_in, asked)
        got = run_script(
            stand_in.url, tls, "submit", KEY, video_url="https://v.example/a.mp4", prompt=""
        )
    assert (got, len(asked)) == ({"answer": ["job-0"]}, 3)
