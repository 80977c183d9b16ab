"""ComfyUI is killed while jobs are fetched, wait, run and have just ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
import requests

from dev.server import ComfyServer

from .conftest import KEYS, Tls, environment, write_models
from .poller import Poller
from .video_host import VideoHost

JOBS = 20


@pytest.fixture
def server(
    comfy_path: Path, secure_host: VideoHost, tls: Tls, tmp_path: Path
) -> Iterator[ComfyServer]:
    write_models(tmp_path)
    variables = environment(secure_host, SSL_CERT_FILE=str(tls.authority))
    yield ComfyServer(comfy_path, tmp_path, env=variables)


def seconds_of(content: bytes, path: Path) -> float:
    path.write_bytes(content)
    with av.open(str(path)) as container:
        assert container.streams.video and container.streams.audio
        return container.duration / av.time_base


@pytest.mark.slow
def test_every_job_ends_once_under_its_id(
    server: ComfyServer, secure_host: VideoHost, tmp_path: Path
) -> None:
    release = threading.Event()
    clip = secure_host.files["/clip.mp4"]

    def slow(handler) -> None:  # a video that is still on its way when ComfyUI is killed
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(clip)))
        handler.end_headers()
        handler.wfile.write(clip[:100])
        release.wait(120)
        handler.wfile.write(clip[100:])

    secure_host.handlers["/slow.mp4"] = slow
    ids: list[str] = []
    polled: dict[str, dict] = {}
    with server:
        poller = Poller(f"{server.url}/mmaudio", KEYS[0])
        for number in range(JOBS):
            name = "slow" if number % 5 == 4 else "clip"
            ids.append(poller.create(f"{secure_host.url}/{name}.mp4", prompt=f"sound {number}"))
        first = poller.wait(ids[0])
        deadline = time.monotonic() + 120
        while poller.get(ids[1])["status"] == "processing":
            assert time.monotonic() < deadline
        states = {job: poller.get(job)["status"] for job in ids}
        assert "success" in states.values()
        assert "processing" in states.values()

        def follow() -> None:  # an unmodified client goes on asking while ComfyUI is away
            polled[ids[-2]] = poller.wait(ids[-2], through_restart=True)

        follower = threading.Thread(target=follow)
        follower.start()
        server.kill()
    release.set()
    secure_host.handlers.pop("/slow.mp4")
    secure_host.files["/slow.mp4"] = clip
    with server:
        ends = {job: poller.wait(job) for job in ids}
        follower.join(120)
        assert {end["status"] for end in ends.values()} == {"success"}
        assert polled[ids[-2]]["output"] == ends[ids[-2]]["output"]
        assert ends[ids[0]]["output"] == first["output"]  # what had ended is as it was
        for job, end in ends.items():
            answer = requests.get(end["output"], timeout=60)
            assert answer.status_code == 200
            assert seconds_of(answer.content, tmp_path / "result.mp4") == pytest.approx(1, abs=0.1)
            written = sorted((server.output / "mmaudio-gateway" / job).iterdir())
            assert [path.suffix for path in written] == [".mp4"], written
        assert not list((server.input / "mmaudio-gateway").iterdir())  # fetched videos are gone
        history = requests.get(f"{server.url}/history", timeout=60).json()
        assert set(history) <= set(ids)


def test_a_webhook_owed_is_sent_after_a_restart(
    server: ComfyServer, secure_host: VideoHost
) -> None:
    secure_host.answer = 503
    path = f"/owed/{time.time_ns()}"  # the host also serves the tests of another version
    try:
        with server:
            poller = Poller(f"{server.url}/mmaudio", KEYS[0])
            job = poller.create(
                f"{secure_host.url}/clip.mp4", webhook_url=f"{secure_host.url}{path}"
            )
            poller.wait(job)
            first = secure_host.wait_for(1, path)[0]
            server.kill()
        secure_host.answer = 200
        with server:
            again = secure_host.wait_for(2, path)[1]
    finally:
        secure_host.answer = 200
    assert first.json() == again.json()
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert again.json()["exec_id"] == job
