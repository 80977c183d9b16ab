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

JOBS = 12


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


@pytest.fixture
def refused(secure_host: VideoHost) -> Iterator[str]:
    """The path of a webhook that is answered with 503 until the test changes that."""
    secure_host.answer = 503
    yield f"/owed/{time.time_ns()}"  # the host also serves the tests of another version
    secure_host.answer = 200


@pytest.mark.slow
def test_every_job_ends_once_under_its_id_and_webhooks_owed_are_sent(
    server: ComfyServer, secure_host: VideoHost, refused: str, tmp_path: Path
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
            hook = {} if number else {"webhook_url": f"{secure_host.url}{refused}"}
            video = f"{secure_host.url}/{name}.mp4"
            ids.append(poller.create(video, prompt=f"sound {number}", **hook))
        first = poller.wait(ids[0])
        (sent,) = secure_host.wait_for(1, refused)
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
    secure_host.answer = 200
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
        again = secure_host.wait_for(2, refused)[1]
    assert sent.json() == again.json()
    assert sent.headers["webhook-id"] == again.headers["webhook-id"]
    assert again.json()["exec_id"] == ids[0]
