"""inference.sh's own clients, unmodified, in a second process, against a real ComfyUI."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests

from .clients import examples, install, play, run_node, run_python
from .conftest import KEYS, MAX_UNFINISHED, Served

SMALL = {"prompt": "waves", "duration": 1, "num_steps": 4}
LONG = {"prompt": "waves", "duration": 30, "num_steps": 50}
PYTHON = """
import asyncio, base64, inspect, json, sys
import aiohttp, inferencesh

url, key, kind, asked = *sys.argv[1:4], json.loads(sys.argv[4])
streams, ClientTimeout = 0, aiohttp.ClientTimeout


def patience(total):
    global streams
    streams += 1
    return ClientTimeout(total=asked["patience"] or total)


aiohttp.ClientTimeout = patience  # of a stream, 60 s


async def got(value):
    return await value if inspect.isawaitable(value) else value


async def main():
    client = getattr(inferencesh, kind)(api_key=key, base_url=url + "/inferencesh")
    params, seen, logs = {"app": "infsh/mmaudio@v1", "input": asked["input"]}, [], []
    try:
        if asked["upload"]:
            with open(asked["upload"], "rb") as file:
                uploaded = await got(client.files.upload(file.read()))
            params["input"]["video_input"] = uploaded["uri"]
        task = await got(client.tasks.run(params, stream=asked["stream"]))
        if asked["stream"]:
            stream = task
            updates = [u async for u in stream] if kind.startswith("async") else list(stream)
            for task in updates:
                seen.append(task["status"])
                logs += [base64.b64decode(log["content"]).decode() for log in task["logs"]]
        again = (await got(client.tasks.get(task["id"]))).data
        told = {"id": task["id"], "output": task["output"], "again": again["output"]}
    except Exception as error:
        told = {"error": f"{type(error).__name__}: {error}"}
    print()
    print(json.dumps(told | {"seen": seen, "logs": logs, "streams": streams}))


asyncio.run(main())
"""
JAVASCRIPT = """
import { readFile } from 'node:fs/promises';
import { inference } from '@inferencesh/sdk';

const [url, key, text] = process.argv.slice(1);
const asked = JSON.parse(text);
const client = inference({ apiKey: key, baseUrl: url + '/inferencesh', pollIntervalMs: 50 });
const params = { app: 'infsh/mmaudio@v1', input: asked.input };
const seen = [], progress = [], logs = [];
let told;
try {
  if (asked.upload) {
    const content = new Blob([await readFile(asked.upload)], { type: 'video/mp4' });
    params.input.video_input = (await client.files.upload(content)).uri;
  }
  const onUpdate = (task) => {
    seen.push(task.status);
    progress.push(task.progress);
    logs.push(...task.logs.map((log) => atob(log.content)));
  };
  const task = await client.run(params, { stream: asked.stream, onUpdate });
  const again = (await client.tasks.get(task.id)).data;
  told = { id: task.id, output: task.output, again: again.output };
} catch (error) {
  told = { error: `${error.name}: ${error.message}` };
}
console.log(JSON.stringify({ ...told, seen, progress, logs }));
"""
CANCEL = """
import inferencesh, sys

client = inferencesh.inference(api_key=sys.argv[2], base_url=sys.argv[1] + "/inferencesh")
client.tasks.cancel(sys.argv[3])
print()
"""
Client = Callable[..., dict[str, Any]]
NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inferencesh")
    install("@inferencesh/sdk@0.6.54", folder)
    return install("esbuild@0.28.2", folder)


def run_bundled(folder: Path, code: str, *arguments: str) -> str:
    """As ``run_node``, of code that Node cannot import as it is."""
    node, name = shutil.which("node"), f"bundle-{next(NUMBERS)}"
    assert node is not None
    (folder / f"{name}.js").write_text(code, "utf-8")
    subprocess.run(
        [
            *(node, "node_modules/esbuild/bin/esbuild", f"{name}.js", f"--outfile={name}.mjs"),
            *("--bundle", "--platform=node", "--format=esm", "--log-level=error"),
        ],
        check=True,
        cwd=folder,
        timeout=60,
    )
    return run_node(folder, f"await import('./{name}.mjs')", *arguments)


@pytest.fixture(params=["inference", "async_inference", "javascript"])
def client(request: pytest.FixtureRequest, served: Served) -> Client:
    """``tasks.run`` with the small model; what went wrong is told as ``error``."""
    is_python = request.param != "javascript"
    folder = None if is_python else request.getfixturevalue("node_folder")

    def run(
        *,
        key: str = served.key,
        stream: bool = False,
        upload: str = "",
        patience: float = 0.0,
        **inputs: Any,
    ) -> dict[str, Any]:
        asked = {"input": SMALL | inputs, "stream": stream, "upload": upload, "patience": patience}
        text = json.dumps(asked)
        if folder is None:
            return json.loads(run_python(PYTHON, served.url, key, request.param, text))
        return json.loads(run_bundled(folder, JAVASCRIPT, served.url, key, text))

    return run


def call(served: Served, method: str, path: str, key: str = "", **options: Any) -> Any:
    """The ``data`` of an answer; the answer itself if it is an error."""
    response = requests.request(
        method,
        f"{served.url}/inferencesh{path}",
        headers={"Authorization": f"Bearer {key or served.key}"},
        timeout=60,
        **options,
    )
    return response.json()["data"] if response.status_code == 200 else response


def submit(served: Served, key: str = "", webhook: str | None = None, **inputs: Any) -> Any:
    body = {"app": "infsh/mmaudio", "input": SMALL | inputs, "webhook": webhook}
    return call(served, "POST", "/apps/run", key, json=body)


def lines(served: Served, task: str, key: str = "") -> Iterator[dict[str, Any]]:
    """The stream of a task."""
    with requests.get(
        f"{served.url}/inferencesh/tasks/{task}/stream",
        headers={"Authorization": f"Bearer {key or served.key}"},
        stream=True,
        timeout=30,
    ) as response:
        for line in response.iter_lines(chunk_size=1):
            yield json.loads(line)


def plays(found: dict[str, Any], seconds: float, video: bool = True) -> None:
    """Sound, and a video with it if there was one, of that length."""
    assert "error" not in found, found["error"]
    output = found["output"]
    assert found["again"] == output
    assert set(output) == {
        *("audio_output", "duration", "sampling_rate"),
        *(("video_output",) if video else ()),
    }
    assert output["duration"] == pytest.approx(seconds, abs=0.1)
    assert output["sampling_rate"] == 16_000
    sound = play(output["audio_output"]["uri"])
    assert (sound.content_type, sound.picture) == ("audio/flac", 0)
    assert sound.sound == pytest.approx(output["duration"], abs=0.001)
    if video:
        film = play(output["video_output"]["uri"])
        assert film.content_type == output["video_output"]["content_type"] == "video/mp4"
        assert film.picture == pytest.approx(seconds, abs=0.05)
        assert film.sound == pytest.approx(seconds, abs=0.1)
    for file in (output[name] for name in ("audio_output", "video_output") if name in output):
        content = requests.get(file["uri"], timeout=60).content
        assert len(content) == file["size"]
        assert file["uri"].endswith(f"/{file['filename']}")


def test_a_video_gets_its_sound(client: Client, served: Served) -> None:
    plays(client(video_input=served.video_url), 1)


def test_sound_from_text_alone(client: Client) -> None:
    plays(client(), 1, video=False)


def test_sound_ends_with_the_video(client: Client, served: Served) -> None:
    plays(client(video_input={"uri": served.video_url}, duration=30), 2)


def test_an_upload(client: Client, clip_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes)
    plays(client(upload=str(path)), 1)


def test_a_data_uri(client: Client, clip_bytes: bytes) -> None:
    text = base64.b64encode(clip_bytes).decode()
    plays(client(video_input=f"data:video/mp4;base64,{text}"), 1)


def test_a_prompt_that_looks_like_base64(client: Client, served: Served) -> None:
    prompt = "thunderstormrain" * 4  # JavaScript's client takes 64 letters for a file
    found = client(prompt=prompt, negative_prompt=prompt)
    plays(found, 1, video=False)
    graph = served.server.client.history(found["id"])["prompt"][2]
    assert graph["features"]["inputs"]["prompt"] == prompt
    assert graph["features"]["inputs"]["negative_prompt"] == prompt


def test_progress_reaches_the_client(client: Client, served: Served) -> None:
    found = client(stream=True, prompt=f"{time.time()}", num_steps=50, duration=8)
    plays(found, 8, video=False)
    assert found["seen"] == sorted(found["seen"])
    assert (found["seen"][0] in (1, 2, 7), found["seen"][-1]) == (True, 10)
    assert len({line for log in found["logs"] for line in log.splitlines() if "% done" in line}) > 3
    if "progress" in found:
        assert found["progress"] == sorted(found["progress"])
        assert len(set(found["progress"])) > 5
        assert found["progress"][-1] == 100


def test_a_video_that_is_none_fails(client: Client, served: Served) -> None:
    assert "status 404" in client(video_input=f"{served.host.url}/none.mp4")["error"]


def test_wrong_inputs_are_told(client: Client) -> None:
    found = client(num_steps=51)
    assert "400" in found["error"] and "input.num_steps: " in found["error"]
    found = client(video_input="http://127.0.0.1:8080/clip.mp4")
    assert "400" in found["error"] and "input.video_input: " in found["error"]


def test_a_wrong_key_is_told(client: Client) -> None:
    assert "401" in client(key="wrong")["error"]


@pytest.fixture
def full_key(served: Served) -> Iterator[str]:
    """A key with as many unfinished jobs as it may have."""
    path, key = "/held.mp4", KEYS[2]
    with served.host.holding(path):
        video = served.host.url + path
        tasks = [submit(served, key, video_input=video)["id"] for _ in range(MAX_UNFINISHED)]
        yield key
    for task in tasks:
        assert list(lines(served, task, key))[-1]["status"] == 11


def test_too_many_are_refused(client: Client, served: Served, full_key: str) -> None:
    assert "429" in client(key=full_key)["error"]
    response = submit(served, full_key)
    assert response.json()["status"] == 429 and int(response.headers["Retry-After"]) > 0


def test_cancel(client: Client, served: Served) -> None:
    """A job that waits, then one that runs; their clients wait for them."""

    def ids(name: str) -> list[str]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            queue = requests.get(f"{served.server.url}/queue", timeout=30).json()
            if queue[name]:
                return [item[1] for item in queue[name]]
            time.sleep(0.05)
        raise AssertionError(f"nothing is in {name}")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client, **LONG)
        (running,) = ids("queue_running")
        second = pool.submit(client, **LONG)
        (waiting,) = ids("queue_pending")
        run_python(CANCEL, served.url, served.key, waiting)
        assert "task cancelled" in second.result(120)["error"]
        assert not first.done()
        run_python(CANCEL, served.url, served.key, running)
        assert "task cancelled" in first.result(120)["error"]
    for task in (waiting, running):
        assert call(served, "GET", f"/tasks/{task}")["status"] == 12


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.parametrize("client", ["async_inference"], indirect=True)
def test_a_task_that_tells_nothing_for_long(
    client: Client, served: Served, clip_bytes: bytes
) -> None:
    """The asynchronous client ends its stream after 60 s, here after 8, and begins another one."""
    path = f"/slow-{time.time_ns()}.mp4"

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(clip_bytes)))
        handler.end_headers()
        for place in range(12):
            handler.wfile.write(clip_bytes[place : place + 1])
            time.sleep(1)
        handler.wfile.write(clip_bytes[12:])

    served.host.handlers[path] = slowly
    found = client(video_input=served.host.url + path, patience=8)
    plays(found, 1)
    assert found["streams"] > 1


def test_a_stream_never_goes_back(served: Served) -> None:
    task = submit(served, prompt=f"{time.time()}", num_steps=50, duration=8)
    assert task["status"] in (1, 2, 7) and task["output"] is None
    tasks = list(lines(served, task["id"]))
    assert {line["id"] for line in tasks} == {task["id"]}
    for key in ("status", "progress", "updated_at"):
        assert [line[key] for line in tasks] == sorted(line[key] for line in tasks)
    assert len({line["progress"] for line in tasks}) > 10
    assert (tasks[-1]["status"], tasks[-1]["progress"]) == (10, 100)


def test_another_key_sees_nothing(served: Served) -> None:
    task = submit(served)["id"]
    for method, path in (
        ("GET", f"/tasks/{task}"),
        ("GET", f"/tasks/{task}/status"),
        ("GET", f"/tasks/{task}/stream"),
        ("POST", f"/tasks/{task}/cancel"),
    ):
        response = call(served, method, path, served.other_key)
        assert response.status_code == 404
        assert response.json()["status"] == 404
    assert list(lines(served, task))[-1]["status"] == 10


def test_an_upload_is_its_owners(served: Served, clip_bytes: bytes) -> None:
    size = len(clip_bytes)
    body = {"files": [{"uri": "", "filename": "my clip.mp4", "size": size}]}
    (file,) = call(served, "POST", "/files", json=body)
    inputs = {"video_input": file["uri"]}
    assert submit(served, **inputs).status_code == 400  # it has not arrived
    assert requests.put(file["upload_url"], data=clip_bytes, timeout=60).status_code == 200
    assert submit(served, served.other_key, **inputs).status_code == 400
    assert submit(served, served.other_key, prompt=file["uri"]).status_code == 400
    output = list(lines(served, submit(served, **inputs)["id"]))[-1]["output"]
    assert output["video_output"]["filename"] == "my_clip.mp4"
    assert requests.put(file["upload_url"], data=clip_bytes, timeout=60).status_code == 404


@pytest.mark.parametrize("good", [True, False], ids=["completed", "failed"])
def test_a_webhook_is_signed(served: Served, good: bool) -> None:
    path = f"/hook-{time.time_ns()}"
    video = served.video_url if good else f"{served.host.url}/none.mp4"
    task = submit(served, webhook=served.host.url + path, video_input=video)
    (received,) = served.host.wait_for(1, path)

    secret = requests.get(
        f"{served.url}/wavespeed/api/v3/webhook/secret",
        headers={"Authorization": f"Bearer {served.key}"},
        timeout=30,
    ).json()["data"]["secret"]
    assert received.signed_with(secret.removeprefix("whsec_"))
    end = call(served, "GET", f"/tasks/{task['id']}")
    body = received.json()
    assert body.pop("updated_at") <= end["updated_at"]
    told = {key: end[key] for key in ("id", "output", "error", "session_id", "created_at")}
    assert body == told | {
        "status": 9 if good else 10,
        "status_name": "completed" if good else "failed",
    }
    assert (body["output"] is not None, body["error"] == "") == (good, good)


def test_a_private_webhook_is_refused(served: Served) -> None:
    response = submit(served, webhook="http://127.0.0.1:8080/hook")
    assert response.status_code == 400
    assert response.json()["detail"].startswith("webhook: ")


def shows(served: Served, url: str) -> None:
    """What the pages print: two seconds of a video with sound."""
    played = play(url)
    assert played.content_type == "video/mp4"
    assert played.picture == pytest.approx(2, abs=0.01)
    assert played.sound == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("number", [0, 1], ids=["client", "asynchronous client"])
def test_the_python_of_the_page(
    served: Served, clip_bytes: bytes, tmp_path: Path, number: int
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes)
    code = examples(
        "inferencesh",
        "python",
        server=served.server.url,
        key=served.key,
        video=served.video_url,
        file=repr(str(path)),
    )[number]
    shows(served, run_python(code))


def test_the_javascript_of_the_page(served: Served, node_folder: Path) -> None:
    (code,) = examples(
        "inferencesh",
        "javascript",
        server=served.server.url,
        key=served.key,
        video=served.video_url,
    )
    shows(served, run_bundled(node_folder, code))
