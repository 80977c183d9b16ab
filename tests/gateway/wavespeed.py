"""WaveSpeed: how the tests ask it, by requests and by its own clients, and what it answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests

from .clients import run_node, run_python
from .stand_in import KEY, StandIn

MODEL = "wavespeed-ai/mmaudio-v2"
VIDEO = "https://a.example/clip.mp4"
PYTHON = """
import json, sys
from wavespeed import Client

url, key, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
client = Client(api_key=key, base_url=url + "/wavespeed", retry_interval=0.1)
try:
    if asked["upload"]:
        asked["inputs"]["video"] = client.upload(asked["upload"])
    found = client.run(
        asked["model"], asked["inputs"], poll_interval=0.1, enable_sync_mode=asked["sync"],
        max_retries=2,
    )
    print()
    print(json.dumps({"outputs": found["outputs"]}))
except Exception as error:
    print()
    print(json.dumps({"outputs": None, "error": str(error)}))
"""
JAVASCRIPT = """
import { Client } from 'wavespeed';

const [url, key, text] = process.argv.slice(1);
const asked = JSON.parse(text);
const client = new Client(key, { baseUrl: url + '/wavespeed', retryInterval: 0.1 });
try {
  if (asked.upload) asked.inputs.video = await client.upload(asked.upload);
  const found = await client.run(asked.model, asked.inputs, {
    pollInterval: 0.1, enableSyncMode: asked.sync, maxRetries: 2,
  });
  console.log(JSON.stringify({ outputs: found.outputs }));
} catch (error) {
  console.log(JSON.stringify({ outputs: null, error: error.message }));
}
"""


def call(
    stand_in: StandIn, method: str, path: str, key: str | None = KEY, **options: Any
) -> requests.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return requests.request(
        method, f"{stand_in.url}/wavespeed/api/v3/{path}", headers=headers, timeout=20, **options
    )


def submit(stand_in: StandIn, query: str = "", **inputs: Any) -> requests.Response:
    body = {"video": VIDEO, "prompt": "waves", **inputs}
    return call(stand_in, "POST", f"{MODEL}{query}", json=body)


def refusal(response: requests.Response, status: int) -> str:
    """The message of an error, whose shape is checked."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"code", "message", "data"}
    assert body["code"] == status and body["data"] is None
    assert isinstance(body["message"], str) and body["message"]
    return body["message"]


def prediction(response: requests.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    body = response.json()
    assert set(body) == {"code", "message", "data"}
    assert (body["code"], body["message"]) == (200, "success")
    return body["data"]


def run_client(
    folder: Path | None, url: str, key: str, *, sync: bool = False, upload: str = "", **inputs: Any
) -> dict[str, Any]:
    """``outputs`` of a client's ``run``, or ``error``.

    Args:
        folder: where the JavaScript client is installed; None: the Python one.
        upload: a file that the client sends first, as the video.
    """
    asked = json.dumps({"model": MODEL, "inputs": inputs, "sync": sync, "upload": upload})
    if folder is None:
        return json.loads(run_python(PYTHON, url, key, asked))
    return json.loads(run_node(folder, JAVASCRIPT, url, key, asked))
