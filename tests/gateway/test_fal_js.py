"""``@fal-ai/client``, unmodified, over the proxy that it is pointed at, against a real ComfyUI."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from .clients import examples, install, play, run_node
from .conftest import Served, Tls
from .fal import MMAUDIO, QUICK, SECONDS, SLOW, SONILO, busy, refuse_twice
from .stand_in import KEY, serve

SCRIPT = (Path(__file__).parent / "scripts" / "fal_js.mjs").read_text("utf-8")
MODES = ["polling", "streaming"]
Client = Callable[..., Any]


@pytest.fixture(scope="session")
def fal_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install("@fal-ai/client@1.10.1", tmp_path_factory.mktemp("fal js"))


@pytest.fixture
def client(served: Served, fal_folder: Path) -> Client:
    """A scenario of ``scripts/fal_js.mjs`` with the clip as its video, which must not raise."""

    def run(scenario: str, *, key: str = served.key, **arguments: Any) -> Any:
        text = json.dumps({"video_url": served.video_url} | arguments)
        proxy = f"{served.url}/fal/proxy"
        got = json.loads(run_node(fal_folder, SCRIPT, proxy, key, scenario, text))
        assert list(got) == ["answer"], got
        return got["answer"]

    return run


def check_video(output: Any, name: str = "clip.mp4", seconds: float = 1.0) -> None:
    """It plays, picture and sound, for so long."""
    file = output["video"]
    assert (file["content_type"], file["file_name"]) == ("video/mp4", name)
    played = play(file["url"])
    assert played.picture == pytest.approx(seconds, abs=0.05)
    assert played.sound == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize("mode", MODES)
def test_subscribe(client: Client, mode: str) -> None:
    got = client("subscribe", mode=mode, **QUICK)
    states = [update["status"] for update in got["updates"]]
    order = ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert states[-1] == "COMPLETED"
    assert states == sorted(states, key=order.index)
    assert str(uuid.UUID(got["requestId"])) == got["requestId"]
    end = got["updates"][-1]
    assert end["metrics"]["inference_time"] > 0
    logs = [line["message"] for line in end["logs"]]
    assert logs == list(dict.fromkeys(logs))
    assert logs[:3] == ["Fetching the video.", "Waiting in the queue.", "Started."]
    assert {"100 % done.", "Ended: done."} <= set(logs)
    check_video(got["data"])


def test_every_call_on_a_request(client: Client, served: Served) -> None:
    video = f"{served.host.url}/long.mp4"
    got = client("queue", **QUICK | {"video_url": video, "duration": 4})
    id = got["submitted"]["request_id"]
    base = f"{served.url}/fal/queue/{MMAUDIO}/requests/{id}"
    assert got["submitted"]["status"] == "IN_QUEUE"
    assert got["submitted"]["response_url"] == base
    assert got["first"]["status"] in ("IN_QUEUE", "IN_PROGRESS")
    assert (got["early"]["status"], got["early"]["body"]) == (
        400,
        {"detail": "Request is still in progress"},
    )
    assert (got["end"]["status"], got["end"]["logs"]) == ("COMPLETED", None)
    assert got["result"]["requestId"] == id
    check_video(got["result"]["data"], "long.mp4", 4)
    assert got["late"]["status"] == 400
    assert got["late"]["body"] == {"status": "ALREADY_COMPLETED"}


@pytest.mark.parametrize("mode", MODES)
def test_music(client: Client, mode: str) -> None:
    got = client(
        "subscribe", app=SONILO, mode=mode, prompt="a waltz", num_samples=2, start_offset=1
    )
    audios = got["data"]["audios"]
    assert got["data"]["audio"] == audios[0]
    assert [file["file_name"] for file in audios] == ["clip_1.m4a", "clip_2.m4a"]
    for file in audios:
        assert play(file["url"]).sound == pytest.approx(1.0, abs=0.1)


def test_run(client: Client) -> None:
    got = client("run", **QUICK)
    check_video(got["data"])
    assert uuid.UUID(got["requestId"])


def test_upload(client: Client, clip_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes)
    got = client("upload", path=str(path), **QUICK)
    assert requests.get(got["url"], timeout=30).content == clip_bytes
    check_video(got["byUrl"]["data"], "my_clip.mp4")
    assert play(got["byBlob"]["data"]["video"]["url"]).sound == pytest.approx(1.0, abs=0.1)


@pytest.mark.slow
def test_upload_in_parts(client: Client, clip_bytes: bytes, tmp_path: Path) -> None:
    """More than 90 MB: the clip, and behind it a box that players skip."""
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.write(clip_bytes)
        rest = 91 * 2**20 - len(clip_bytes)
        file.write(rest.to_bytes(4, "big") + b"free")
        file.seek(91 * 2**20 - 1)
        file.write(b"\xff")
    got = client("upload", path=str(path), **QUICK)
    answer = requests.get(got["url"], timeout=60)
    assert answer.content == path.read_bytes()
    check_video(got["byUrl"]["data"], "my_clip.mp4")


@pytest.mark.parametrize("when", ["IN_QUEUE", "IN_PROGRESS"])
def test_cancel(client: Client, served: Served, when: str) -> None:
    if when == "IN_QUEUE":
        with busy(served.server):
            got = client("cancel", when=when, **QUICK)
    else:
        got = client("cancel", when=when, **SLOW | {"video_url": f"{served.host.url}/long.mp4"})
    assert got["end"]["error_type"] == "client_cancelled"
    assert got["took"] < SECONDS
    assert got["result"]["status"] == 499
    assert got["result"]["body"]["error_type"] == "client_cancelled"


def test_not_started_in_time(client: Client, served: Served) -> None:
    with busy(served.server):
        got = client("startTimeout", seconds=1.5, **QUICK)
    assert (got["status"], got["userTimeout"]) == (504, True)
    assert got["body"]["error_type"] == "request_timeout"


def test_wrong_input(client: Client) -> None:
    got = client("tried", **QUICK | {"duration": 31})
    assert (got["kind"], got["status"]) == ("ValidationError", 422)
    assert [error["loc"] for error in got["fields"]] == [["body", "duration"]]


def test_video_that_is_not_there(client: Client, served: Served) -> None:
    got = client("tried", **QUICK | {"video_url": f"{served.host.url}/nothing.mp4"})
    assert (got["kind"], got["status"]) == ("ValidationError", 422)
    assert [error["loc"] for error in got["fields"]] == [["body", "video_url"]]
    assert uuid.UUID(got["requestId"])


def test_wrong_key(client: Client) -> None:
    got = client("tried", key="a wrong key", **QUICK)
    assert (got["status"], list(got["body"])) == (401, ["detail"])


def test_what_there_is_not(client: Client, served: Served) -> None:
    other = client("webhook", key=served.other_key, **QUICK)["request_id"]
    for id in (str(uuid.uuid4()), other):
        got = client("unknown", requestId=id)
        assert {name: answer["status"] for name, answer in got.items()} == dict.fromkeys(got, 404)
        assert got["cancel"]["body"] == {"status": "NOT_FOUND"}


def test_webhook(client: Client, served: Served) -> None:
    hook = f"/hook-{uuid.uuid4()}"
    url = f"{served.host.url}{hook}?a=1&b=%20"
    id = client("webhook", webhookUrl=url, **QUICK)["request_id"]
    (got,) = served.host.wait_for(1, hook)
    assert got.path == f"{hook}?a=1&b=%20"
    assert (got.json()["request_id"], got.json()["status"]) == (id, "OK")
    check_video(got.json()["payload"])


def test_over_tls(secure: Served, tls: Tls, fal_folder: Path) -> None:
    text = json.dumps(QUICK | {"video_url": secure.video_url, "mode": "streaming"})
    printed = run_node(
        fal_folder,
        SCRIPT,
        f"{secure.url}/fal/proxy",
        secure.key,
        "subscribe",
        text,
        NODE_EXTRA_CA_CERTS=str(tls.authority),
    )
    file = json.loads(printed)["answer"]["data"]["video"]
    assert play(file["url"], tls.authority).sound == pytest.approx(1.0, abs=0.1)


def test_limit_is_waited_for(fal_folder: Path) -> None:
    """The client asks again after 429, up to three times."""
    asked: list[str] = []
    with serve("fal") as stand_in:
        refuse_twice(stand_in, asked)
        text = json.dumps({"video_url": "https://v.example/a.mp4", "prompt": ""})
        proxy = f"{stand_in.url}/fal/proxy"
        got = json.loads(run_node(fal_folder, SCRIPT, proxy, KEY, "webhook", text))
    assert (got["answer"]["request_id"], len(asked)) == ("job-0", 3)


def test_the_javascript_of_the_page(
    served: Served, fal_folder: Path, clip_bytes: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes)
    (code,) = examples(
        "fal",
        "javascript",
        server=served.server.url,
        key=served.key,
        file=json.dumps(str(path)),
    )
    assert play(run_node(fal_folder, code)).sound == pytest.approx(2.0, abs=0.1)
